package rtnl

import (
	"context"
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Links returns all links.
func (c *Conn) Links(ctx context.Context) ([]Link, error) {
	return dump(ctx, c, allLinks(), parseLink)
}

// Addrs returns all addresses of both families.
func (c *Conn) Addrs(ctx context.Context) ([]Addr, error) {
	return dump(ctx, c, allAddrs(), parseAddr)
}

// Routes returns the unicast routes of the main table, of both families.
func (c *Conn) Routes(ctx context.Context) ([]Route, error) {
	return dump(ctx, c, allRoutes(), parseRoute)
}

// Neighbors returns the permanent entries of the neighbour tables.
func (c *Conn) Neighbors(ctx context.Context) ([]Neighbor, error) {
	return dump(ctx, c, allNeighbors(), parseNeighbor)
}

// Limits returns the limits of ours on what links send, and where what they receive is
// sent to.
func (c *Conn) Limits(ctx context.Context) ([]Limit, []Redirect, error) {
	disciplines, err := dump(ctx, c, allQdiscs(), parseQdisc)
	if err != nil {
		return nil, nil, err
	}
	var limits []Limit
	var redirects []Redirect
	for _, d := range disciplines {
		if !d.ingress {
			limits = append(limits, d.limit)
			continue
		}
		own, err := dump(ctx, c, filtersOf(d.limit.Link), parseFilter)
		if err != nil {
			return nil, nil, err
		}
		redirects = append(redirects, own...)
	}
	return limits, redirects, nil
}

func dump[T any](ctx context.Context, c *Conn, request Request, parse func([]byte) (T, bool)) ([]T, error) {
	var rows []T
	err := c.Dump(ctx, request, func() { rows = rows[:0] }, func(body []byte) {
		if row, ok := parse(body); ok {
			rows = append(rows, row)
		}
	})
	return rows, err
}

// Attributes of RTM_GETNSID (include/uapi/linux/net_namespace.h).
const (
	netnsaNSID = 1
	netnsaFD   = 3
)

// NamespaceIDs returns the numbers by which this namespace knows those of the
// descriptors; -1 for one that it has no number for.
func (c *Conn) NamespaceIDs(ctx context.Context, fds ...int) ([]int32, error) {
	ids := make([]int32, len(fds))
	requests := make([]Request, len(fds))
	for i, fd := range fds {
		ids[i] = -1
		r := nl.NewNetlinkRequest(unix.RTM_GETNSID, 0)
		r.AddData(&namespaceHeader{})
		r.AddData(nl.NewRtAttr(netnsaFD, nl.Uint32Attr(uint32(fd))))
		requests[i] = Request{message: r, reply: func(body []byte) {
			if id, ok := parseNamespaceID(body); ok {
				ids[i] = id
			}
		}}
	}
	return ids, c.Execute(ctx, requests...)
}

func parseNamespaceID(body []byte) (id int32, ok bool) {
	attributes, err := parseAttributes(body[min(namespaceHeader{}.Len(), len(body)):])
	if err != nil {
		return 0, false
	}
	for _, a := range attributes {
		if a.kind == netnsaNSID && len(a.value) >= 4 {
			id, ok = int32(binary.NativeEndian.Uint32(a.value)), true
		}
	}
	return id, ok
}

// namespaceHeader is struct rtgenmsg, padded.
type namespaceHeader struct{}

// Len returns the encoded size, in bytes.
func (namespaceHeader) Len() int { return 4 }

// Serialize returns the encoded header.
func (namespaceHeader) Serialize() []byte { return make([]byte, 4) }
