// Package resolvconf reads, changes and writes resolv.conf(5).
package resolvconf

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// File is the content of a resolv.conf. The zero File is empty.
type File struct {
	// Servers are the name servers, the first asked first. libc uses three at most.
	Servers []netip.Addr
	// Search are the domains that short names are tried in.
	Search []string
	// Options are those of the options line, as "ndots:1".
	Options []string
	// Others are lines that this package does not interpret.
	Others []string

	notes []string // what was changed, for the reader of the file
}

// Parse reads a file. It never fails: what cannot be read is left out, and a note
// says so. As in libc, the last of several search or domain lines counts.
func Parse(content []byte) File {
	var f File
	for line := range strings.SplitSeq(string(content), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") || strings.HasPrefix(fields[0], ";") {
			continue
		}
		switch keyword, values := fields[0], fields[1:]; keyword {
		case "nameserver":
			f.addServer(values)
		case "search", "domain":
			f.Search = slices.Clone(values)
		case "options":
			f.Options = append(f.Options, values...)
		default:
			f.Others = append(f.Others, strings.Join(fields, " "))
		}
	}
	return f
}

func (f *File) addServer(values []string) {
	if len(values) == 0 {
		return
	}
	address, err := netip.ParseAddr(values[0])
	if err != nil {
		f.note("left out %q: not an address", values[0])
		return
	}
	f.Servers = append(f.Servers, address)
}

func (f *File) note(format string, args ...any) {
	f.notes = append(f.notes, fmt.Sprintf(format, args...))
}

// Override replaces what is given: each list that is not empty takes the place of
// the file's. The one search domain "." stands for none.
func (f *File) Override(servers []netip.Addr, search, options []string) {
	if len(servers) > 0 {
		f.Servers = slices.Clone(servers)
		f.note("name servers are those that the container was given")
	}
	if len(search) > 0 {
		if f.Search = slices.Clone(search); len(search) == 1 && search[0] == "." {
			f.Search = nil
		}
		f.note("search domains are those that the container was given")
	}
	if len(options) > 0 {
		f.Options = slices.Clone(options)
		f.note("options are those that the container was given")
	}
}

// DropLoopback leaves out servers on the loopback: a container's is its own.
func (f *File) DropLoopback() {
	f.drop("on the host's loopback, which the container cannot reach", netip.Addr.IsLoopback)
}

// DropIPv6 leaves out IPv6 servers, for containers without IPv6.
func (f *File) DropIPv6() {
	f.drop("IPv6, which the container does not have", netip.Addr.Is6)
}

func (f *File) drop(why string, match func(netip.Addr) bool) {
	var kept []netip.Addr
	for _, server := range f.Servers {
		if match(server) {
			f.note("left out name server %s: %s", server, why)
		} else {
			kept = append(kept, server)
		}
	}
	f.Servers = kept
}

const (
	header   = "# Written by libnetwork from "
	hashMark = "# libnetwork: "
)

// Render returns the text of the file, with comments that say where it came from and
// what was changed, and with a hash for Modified.
func (f *File) Render(source string) []byte {
	var b bytes.Buffer
	b.WriteString(header + oneLine(source) + ".\n")
	for _, note := range f.notes {
		b.WriteString("# " + oneLine(note) + "\n")
	}
	if len(f.Servers) == 0 {
		b.WriteString("# There is no name server: only names of the hosts file resolve.\n")
	}
	for _, server := range f.Servers {
		b.WriteString("nameserver " + server.String() + "\n")
	}
	if len(f.Search) > 0 {
		b.WriteString("search " + strings.Join(f.Search, " ") + "\n")
	}
	if len(f.Options) > 0 {
		b.WriteString("options " + strings.Join(f.Options, " ") + "\n")
	}
	for _, other := range f.Others {
		b.WriteString(other + "\n")
	}
	b.WriteString(hashMark + hash(b.Bytes()) + "\n")
	return b.Bytes()
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// Modified reports whether the content is not as Render returned it: the user has
// changed the file, and wants it to stay so.
func Modified(content []byte) bool {
	i := bytes.LastIndex(content, []byte(hashMark))
	if i < 0 {
		return true
	}
	return string(content[i:]) != hashMark+hash(content[:i])+"\n"
}

func hash(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:8])
}
