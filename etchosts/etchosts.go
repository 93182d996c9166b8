// Package etchosts edits a container's hosts file (hosts(5)). Lines of ours stand
// between two marks; the second one names them by hash, so that a line which the
// user has changed is known to be the user's, and is kept, wherever it stands.
package etchosts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Entry is a line of ours.
type Entry struct {
	IP netip.Addr
	// Names are the host's names, the canonical one first; at least one.
	Names []string
}

const (
	beginMark = "# libnetwork: the lines from here follow the networks of the container"
	endMark   = "# libnetwork: end"
)

// The lines that a file without an origin starts with. The IPv6 ones are those of
// RFC 4291 section 2.7.1 under the names that Debian uses.
const (
	defaultIPv4 = "127.0.0.1\tlocalhost\n"
	defaultIPv6 = "::1\tlocalhost ip6-localhost ip6-loopback\n" +
		"fe00::\tip6-localnet\n" +
		"ff00::\tip6-mcastprefix\n" +
		"ff02::1\tip6-allnodes\n" +
		"ff02::2\tip6-allrouters\n"
)

// Build returns the content of a new file: the origin, or default lines if it is
// nil, and then the entries. IPv6 asks for the IPv6 ones among the default lines.
func Build(origin []byte, entries []Entry, ipv6 bool) ([]byte, error) {
	if origin == nil {
		origin = []byte(defaultIPv4)
		if ipv6 {
			origin = append(origin, defaultIPv6...)
		}
	}
	return Update(origin, entries)
}

// Update returns the content with the entries in place of those that were there
// before. The user's lines stay as they are, in their order. A name or address that
// would not come back as it went in is Invalid.
func Update(content []byte, entries []Entry) ([]byte, error) {
	var ours []string
	for _, e := range entries {
		line, err := e.line()
		if err != nil {
			return nil, err
		}
		if !slices.Contains(ours, line) {
			ours = append(ours, line)
		}
	}
	var out bytes.Buffer
	for _, line := range usersLines(content) {
		out.WriteString(line + "\n")
	}
	if len(ours) == 0 {
		return out.Bytes(), nil
	}
	out.WriteString(beginMark + "\n")
	end := endMark
	for _, line := range ours {
		out.WriteString(line + "\n")
		end += " " + hash(line)
	}
	out.WriteString(end + "\n")
	return out.Bytes(), nil
}

func (e Entry) line() (string, error) {
	if !e.IP.IsValid() || e.IP.Zone() != "" {
		return "", cnm.E("hosts file", cnm.Invalid, fmt.Errorf("entry of %q: has no address that a hosts file can hold", e.Names))
	}
	if len(e.Names) == 0 {
		return "", cnm.E("hosts file", cnm.Invalid, fmt.Errorf("entry of %s: has no name", e.IP))
	}
	for _, name := range e.Names {
		if err := CheckName(name); err != nil {
			return "", err
		}
	}
	return e.IP.String() + "\t" + strings.Join(e.Names, " "), nil
}

// CheckName refuses what cannot be one name on a line, with kind Invalid.
func CheckName(name string) error {
	if name == "" {
		return cnm.E("hosts file", cnm.Invalid, errors.New("name: is empty"))
	}
	for _, r := range name {
		if r <= ' ' || r == '#' || r == 0x7f {
			return cnm.E("hosts file", cnm.Invalid, fmt.Errorf("name %q: must not hold blanks, control characters or '#'", name))
		}
	}
	return nil
}

// usersLines returns all lines but ours.
func usersLines(content []byte) []string {
	text := strings.TrimSuffix(string(content), "\n")
	if text == "" {
		return nil
	}
	lines := strings.Split(text, "\n")
	var out []string
	for i := 0; i < len(lines); i++ {
		if lines[i] != beginMark {
			out = append(out, lines[i])
			continue
		}
		length := slices.IndexFunc(lines[i:], func(line string) bool { return strings.HasPrefix(line, endMark) })
		if length < 0 {
			continue // the user took the end mark away: the rest is the user's
		}
		hashes := strings.Fields(strings.TrimPrefix(lines[i+length], endMark))
		for _, line := range lines[i+1 : i+length] {
			if line != beginMark && !slices.Contains(hashes, hash(line)) {
				out = append(out, line)
			}
		}
		i += length
	}
	return out
}

// hash needs only to tell an edited line from the one that was written.
func hash(line string) string {
	sum := sha256.Sum256([]byte(line))
	return hex.EncodeToString(sum[:4])
}
