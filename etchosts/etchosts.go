// Package etchosts makes and edits the hosts file of a container (hosts(5)).
//
// The file has two authors. Lines of ours stand in a block:
//
//	# libnetwork: begin: these lines follow the container's networks; what you change stays
//	172.17.0.2	web.example web
//	# libnetwork: end 5f1c09aa
//
// Everything else is the user's. The end mark holds a hash of each line that we wrote,
// and that settles what is whose:
//
//   - A line in the block without a hash was written or changed by the user. It is
//     kept, and moves in front of the block.
//   - A hash without its line stands for a line of ours that the user changed or
//     removed. It is not written again as long as it is asked for unchanged.
//   - What a line of the user says already is not said again.
//   - Without both marks there is no block: all lines are the user's.
//
// There is a hash for each line and not one for the block, because a user who edits
// one line should not stop the others from following the networks.
package etchosts

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork/internal/atomicfile"
)

// Entry is a line of ours. Whoever wants it - the container, its configuration,
// another container - makes no difference to the file, so it is not said here.
type Entry struct {
	// IP has no zone: resolvers do not agree on what one means in this file.
	IP netip.Addr
	// Names are the host's names, the canonical one first; at least one.
	Names []string
}

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
// All lines of the origin are the user's, even those that are ours in the file it
// was copied from. The error is that of Update.
func Build(origin []byte, entries []Entry, ipv6 bool) ([]byte, error) {
	text := string(origin)
	if origin == nil {
		text = defaultIPv4
		if ipv6 {
			text += defaultIPv6
		}
	}
	return update(file{before: withoutMarks(splitLines(text))}, entries)
}

// Update returns the content with the entries in place of those that were there
// before; entries that occur twice are written once. The user's lines stay as they
// are, in their order. The same entries a second time change nothing. A name or
// address that does not fit is Invalid.
func Update(content []byte, entries []Entry) ([]byte, error) {
	return update(parse(string(content)), entries)
}

func update(f file, entries []Entry) ([]byte, error) {
	wanted, err := linesOf(entries)
	if err != nil {
		return nil, err
	}
	said := spoken(f.before, f.after)
	for _, line := range f.keepHashes(wanted) {
		if !said.covers(line) {
			f.ours = append(f.ours, line)
		}
	}
	return []byte(f.String()), nil
}

// linesOf returns the lines of the entries, each once.
func linesOf(entries []Entry) ([]string, error) {
	var lines []string
	known := map[string]bool{}
	for _, entry := range entries {
		line, err := entry.line()
		if err != nil {
			return nil, err
		}
		if !known[line] {
			known[line] = true
			lines = append(lines, line)
		}
	}
	return lines, nil
}

// WriteFile writes the content of a hosts file, in place if the file exists: it may be
// mounted into a container. A new one gets mode 0644. The kinds of errors are
// Forbidden, Exhausted, Invalid (the path) and Internal.
func WriteFile(path string, content []byte) error {
	return atomicfile.Write(path, content, 0o644)
}

// statements are what lines say: which names an address has.
type statements map[netip.Addr]map[string]bool

func spoken(groups ...[]string) statements {
	s := statements{}
	for _, line := range slices.Concat(groups...) {
		address, names := split(line)
		if s[address] == nil {
			s[address] = map[string]bool{}
		}
		for _, name := range names {
			s[address][name] = true
		}
	}
	return s
}

func (s statements) covers(line string) bool {
	address, names := split(line)
	return !slices.ContainsFunc(names, func(name string) bool { return !s[address][name] })
}

// split takes a line apart as resolvers do. A line that says nothing has no names.
func split(line string) (netip.Addr, []string) {
	line, _, _ = strings.Cut(line, "#")
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(fields[0])
	if err != nil {
		return netip.Addr{}, nil
	}
	return address, fields[1:]
}
