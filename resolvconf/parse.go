package resolvconf

import (
	"net/netip"
	"slices"
	"strings"
	"unicode"
)

// Parse reads a file as libc does: a keyword must start the line, the last of several
// search or domain lines counts, and options add up. It never fails: a name server
// that is no address, which libc passes over as well, is left out with a note. Comments
// and lines that are not understood stay as they are; comments that Render made go.
func Parse(content []byte) File {
	var f File
	for line := range strings.SplitSeq(string(content), "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, mark) {
			continue
		}
		// Only a blank or a tab ends a keyword.
		end := strings.IndexAny(line, " \t")
		if end < 0 || !f.directive(line[:end], line[end:]) {
			f.others = append(f.others, line)
		}
	}
	return f
}

// directive reports whether it knows the keyword. Without values it says nothing.
func (f *File) directive(keyword, rest string) bool {
	switch keyword {
	case "nameserver":
		f.addServer(f.values(rest))
	case "domain":
		if values := f.values(rest); len(values) > 0 {
			f.Search = values[:1:1]
		}
	case "search":
		if values := f.values(rest); len(values) > 0 {
			f.Search = values
		}
	case "options":
		f.Options = append(f.Options, f.values(rest)...)
	default:
		return false
	}
	return true
}

// values splits what follows a keyword. libc knows no comment there and would search
// in a domain "#"; nobody means that, so a comment becomes a line of its own.
func (f *File) values(rest string) []string {
	values := strings.Fields(rest)
	if i := slices.IndexFunc(values, startsComment); i >= 0 {
		if comment := strings.Join(values[i:], " "); !strings.HasPrefix(comment, mark) {
			f.others = append(f.others, comment)
		}
		values = values[:i]
	}
	return values
}

func (f *File) addServer(values []string) {
	if len(values) == 0 {
		return
	}
	address, err := netip.ParseAddr(values[0])
	if err != nil || !writable(address) {
		f.note("left out name server %q: is not an address", values[0])
		return
	}
	f.Servers = append(f.Servers, address)
}

func startsComment(text string) bool {
	return strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";")
}

// writable reports whether the address comes back as it is when it is written.
func writable(address netip.Addr) bool {
	return address.IsValid() && !strings.ContainsFunc(address.Zone(), func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r)
	})
}
