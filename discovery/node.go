package discovery

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Node is where a node can be reached.
type Node struct {
	// Host is an address or a name.
	Host string
	// Port is 0 if none was said.
	Port uint16
}

// String returns host:port, with IPv6 in brackets, or the host alone.
func (n Node) String() string {
	if n.Port == 0 {
		return n.Host
	}
	return net.JoinHostPort(n.Host, strconv.Itoa(int(n.Port)))
}

func compare(a, b Node) int { return cmp.Or(cmp.Compare(a.Host, b.Host), cmp.Compare(a.Port, b.Port)) }

// longestHost is what DNS allows for a name (RFC 1035 section 2.3.4).
const longestHost = 255

// ParseNode reads host:port or a host alone. Anything else is Invalid.
func ParseNode(text string) (Node, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return Node{Host: address.String()}, nil
	}
	host, port := text, ""
	if strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return Node{}, invalid(text, "is not host:port")
		}
	}
	node := Node{Host: host}
	if strings.Contains(text, ":") {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Node{}, invalid(text, "its port is not from 1 to 65535")
		}
		node.Port = uint16(n)
	}
	if address, err := netip.ParseAddr(host); err == nil && address.Zone() == "" {
		node.Host = address.String()
		return node, nil
	}
	if !isName(host) || text[0] == '[' {
		return Node{}, invalid(text, "its host is neither an address nor a name")
	}
	return node, nil
}

func isName(host string) bool {
	if host == "" || len(host) > longestHost {
		return false
	}
	const special = "-._"
	return !strings.ContainsFunc(host, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(special, r)
	})
}

func invalid(text, why string) error {
	const most = 80
	if len(text) > most {
		text = text[:most] + "..."
	}
	return cnm.E("", cnm.Invalid, fmt.Errorf("node %q: %s", text, why))
}

// Change is what a watch tells.
type Change struct {
	// Nodes are all that there are now, in order.
	Nodes []Node
	// Joined and Left are what differs from what was told before.
	Joined, Left []Node
}

// Watcher tells of nodes.
type Watcher interface {
	// Watch yields the nodes that there are, even if there are none, and then each
	// change, until ctx is done or the loop is left. An error is yielded when a source
	// does not answer; the watch goes on, and the nodes told before still hold.
	Watch(ctx context.Context) iter.Seq2[Change, error]
}

// mostNodes bounds a list of nodes.
const mostNodes = 10_000

// Static is a list of nodes that does not change. It implements Watcher.
type Static []Node

// ParseStatic reads node,node,... A node may hold ranges of numbers, as 192.0.2.[1-20]:2377
// or, as the first releases wrote it, [1:20]; numbers that start with zeros keep their
// width. A node that is named twice is there once. Anything else is Invalid.
func ParseStatic(text string) (Static, error) {
	var out Static
	seen := make(map[Node]bool)
	for pattern := range strings.SplitSeq(text, ",") {
		pattern = strings.TrimSpace(pattern)
		names, err := expand(pattern, mostNodes-len(out))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			node, err := ParseNode(name)
			if err != nil {
				return nil, err
			}
			if !seen[node] {
				seen[node] = true
				out = append(out, node)
			}
		}
	}
	slices.SortFunc(out, compare)
	return out, nil
}

// expand writes out the ranges of a pattern, no more than most.
func expand(pattern string, most int) ([]string, error) {
	out := []string{""}
	for rest := pattern; ; {
		before, r, after, found := cutRange(rest)
		if !found {
			before = rest
		}
		for i := range out {
			out[i] += before
		}
		if !found {
			break
		}
		numbers, err := r.numbers(most / len(out))
		if err != nil {
			return nil, invalid(pattern, err.Error())
		}
		var next []string
		for _, start := range out {
			for _, number := range numbers {
				next = append(next, start+number)
			}
		}
		out, rest = next, after
	}
	if len(out) > most {
		return nil, invalid(pattern, fmt.Sprintf("makes the list longer than %d nodes", mostNodes))
	}
	return out, nil
}

// span is what stands in the brackets of a range.
type span struct{ first, last string }

// cutRange finds the first range. Brackets with something else in them, such as those of
// an IPv6 address, are none.
func cutRange(text string) (before string, r span, after string, found bool) {
	for from := 0; ; {
		open := strings.IndexByte(text[from:], '[')
		if open < 0 {
			return text, span{}, "", false
		}
		open += from
		length := strings.IndexByte(text[open:], ']')
		if length < 0 {
			return text, span{}, "", false
		}
		first, last, ok := strings.Cut(text[open+1:open+length], "-")
		if !ok {
			first, last, ok = strings.Cut(text[open+1:open+length], ":")
		}
		if ok && digits(first) && digits(last) {
			return text[:open], span{first, last}, text[open+length+1:], true
		}
		from = open + 1
	}
}

func digits(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

func (s span) numbers(most int) ([]string, error) {
	first, err := strconv.ParseUint(s.first, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("number %q is too large", s.first)
	}
	last, err := strconv.ParseUint(s.last, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("number %q is too large", s.last)
	}
	if last < first {
		return nil, fmt.Errorf("range %s-%s runs backwards", s.first, s.last)
	}
	if last-first >= uint64(max(most, 0)) {
		return nil, fmt.Errorf("range %s-%s makes the list longer than %d nodes", s.first, s.last, mostNodes)
	}
	width := 0
	if s.first[0] == '0' {
		width = len(s.first)
	}
	var out []string
	for n := first; n <= last; n++ {
		out = append(out, fmt.Sprintf("%0*d", width, n))
	}
	return out, nil
}

// Watch implements Watcher.
func (s Static) Watch(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		if ctx.Err() == nil && yield(Change{Nodes: slices.Clone(s), Joined: slices.Clone(s)}, nil) {
			<-ctx.Done()
		}
	}
}
