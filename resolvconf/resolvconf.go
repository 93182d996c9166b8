// Package resolvconf reads, changes and writes the resolv.conf of a container
// (resolv.conf(5)).
//
// A File is read from the host's file or another origin, goes through a few changes,
// each of which leaves a note, and is rendered:
//
//	file := resolvconf.Parse(origin)
//	file.DropLoopback()
//	content := file.Render("/etc/resolv.conf")
//
// The text tells its reader where it came from and what was changed. If no server is
// left it says so, and none is made up: a public server would get the container's
// questions without anybody having decided that.
//
// A resolv.conf has no place where two authors could write side by side, as libc takes
// the last search line for all. So a file that its user has changed, which Modified
// finds out by a hash in the last line, is the user's from then on.
package resolvconf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/docker/libnetwork/cnm"
)

// File is the content of a resolv.conf. The zero File is empty. A copy shares lists
// with the original, but the methods never change a list that is shared.
type File struct {
	// Servers are the name servers, the first asked first. A link-local one has a
	// zone, the interface behind which it is. libc uses the first three.
	Servers []netip.Addr
	// Search are the domains that short names are tried in.
	Search []string
	// Options are words of the options line, as "ndots:1".
	Options []string

	others []string // comments and what this package does not interpret, verbatim
	notes  []string // what was changed, for the reader of the file
	given  bool     // the servers are meant for this container, not for its host
}

// Override replaces what is given for this container: each list that is not empty
// takes the place of the file's. The one search domain "." stands for none. Elements
// may hold several words. If one cannot be written, because it has a line break or
// another control character, the error is Invalid and nothing is changed.
func (f *File) Override(servers []netip.Addr, search, options []string) error {
	const op = "override resolv.conf"
	if i := slices.IndexFunc(servers, func(a netip.Addr) bool { return !writable(a) }); i >= 0 {
		return cnm.E(op, cnm.Invalid, fmt.Errorf("name server %q: is not an address: give one", servers[i]))
	}
	searchWords, err := words(search)
	if err != nil {
		return cnm.E(op, cnm.Invalid, fmt.Errorf("search domain %w", err))
	}
	optionWords, err := words(options)
	if err != nil {
		return cnm.E(op, cnm.Invalid, fmt.Errorf("option %w", err))
	}
	if len(servers) > 0 {
		f.Servers, f.given = slices.Clone(servers), true
		f.note("name servers are those that the container was given")
	}
	switch {
	case len(searchWords) == 1 && searchWords[0] == ".":
		f.Search = nil
		f.note("search domains are left out, as the container was given \".\"")
	case len(searchWords) > 0:
		f.Search = searchWords
		f.note("search domains are those that the container was given")
	}
	if len(optionWords) > 0 {
		f.Options = optionWords
		f.note("options are those that the container was given")
	}
	return nil
}

// words splits elements at blanks.
func words(elements []string) ([]string, error) {
	var out []string
	for _, element := range elements {
		if strings.ContainsFunc(element, unicode.IsControl) {
			return nil, fmt.Errorf("%q: holds a control character: leave it out", element)
		}
		for _, word := range strings.Fields(element) {
			if startsComment(word) {
				return nil, fmt.Errorf("%q: holds a comment: leave it out", element)
			}
			out = append(out, word)
		}
	}
	return out, nil
}

// DropLoopback leaves out servers on the loopback, for containers with a network
// namespace of their own: what the host's file means is the host's loopback, and theirs
// is another. Servers that were given for this container stay.
func (f *File) DropLoopback() {
	if !f.given {
		f.drop("on the host's loopback, which the container cannot reach", netip.Addr.IsLoopback)
	}
}

// DropIPv6 leaves out IPv6 servers, for containers where IPv6 does not work.
func (f *File) DropIPv6() {
	f.drop("IPv6, which does not work in the container", netip.Addr.Is6)
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

func (f *File) note(format string, args ...any) {
	f.notes = append(slices.Clip(f.notes), oneLine(fmt.Sprintf(format, args...)))
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
