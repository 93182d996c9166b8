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

// NamespaceID returns the number by which this namespace knows the one of the
// descriptor; ok is false if it has none.
func (c *Conn) NamespaceID(ctx context.Context, fd int) (id int32, ok bool, err error) {
	r := nl.NewNetlinkRequest(unix.RTM_GETNSID, 0)
	r.AddData(&namespaceHeader{})
	r.AddData(nl.NewRtAttr(netnsaFD, nl.Uint32Attr(uint32(fd))))
	id = -1
	err = c.Execute(ctx, Request{message: r, reply: func(body []byte) {
		attributes, parseErr := nl.ParseRouteAttr(body[min(4, len(body)):])
		if parseErr != nil {
			return
		}
		for _, a := range attributes {
			if a.Attr.Type == netnsaNSID && len(a.Value) >= 4 {
				id = int32(binary.NativeEndian.Uint32(a.Value))
			}
		}
	}})
	return id, id >= 0, err
}

// namespaceHeader is struct rtgenmsg, padded.
type namespaceHeader struct{}

// Len returns the encoded size, in bytes.
func (namespaceHeader) Len() int { return 4 }

// Serialize returns the encoded header.
func (namespaceHeader) Serialize() []byte { return make([]byte, 4) }
