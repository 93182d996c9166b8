package conntrack

import (
	"context"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// Count returns how many entries the namespace's table has now, of all protocols. It
// takes the kernel no time that grows with them. Without the conntrack subsystem the
// error is Unsupported.
func (c *Conn) Count(ctx context.Context) (int, error) {
	count, err := c.count(ctx)
	return count, cnm.Wrap("conntrack: count entries", err)
}

// Removed deletes the connections that were translated to a publication that is no
// more: the destination was its host address, if it has one, and one of its ports, and
// the answers come from its target.
//
// About as many as deleted went: the number is exact while no others come and go. The
// context is looked at between exchanges with the kernel. Publications that make no sense
// are Invalid, and then nothing is deleted; for other errors what could be deleted is, and
// counted.
func (c *Conn) Removed(ctx context.Context, publications []Publication) (deleted int, err error) {
	all, err := byFamily(publications, Publication.normal)
	if err == nil {
		deleted, err = forget(ctx, c, all, func(publications []Publication, count int) job {
			return job{
				exact: exact(publications, affordable(count, narrowDump)),
				rough: common(publications, translation),
				match: removedMatcher(publications),
			}
		})
	}
	return deleted, cnm.Wrap("conntrack: forget connections of removed ports", err)
}

// Added deletes UDP connections that began before a publication existed: the
// destination is its host address, or if it has none an address that isLocal accepts,
// with one of its ports, but the answers do not come from its target. A publication with a
// host address goes before one without. Connections that merely pass through the host
// stay; and so do those of other protocols, whose clients get no answer and begin anew.
//
// isLocal is called with destinations, of the publications' families, and must not use c;
// a nil one accepts none. The number and errors are as for [Conn.Removed].
func (c *Conn) Added(ctx context.Context, publications []Publication, isLocal func(netip.Addr) bool) (deleted int, err error) {
	all, err := byFamily(publications, Publication.normal)
	if err == nil {
		for i := range all {
			all[i] = slices.DeleteFunc(all[i], func(p Publication) bool { return netstate.Protocol(p.Protocol) != netstate.UDP })
		}
		deleted, err = forget(ctx, c, all, func(publications []Publication, _ int) job {
			return job{rough: common(publications, arrival), match: addedMatcher(publications, isLocal)}
		})
	}
	return deleted, cnm.Wrap("conntrack: forget connections from before ports were added", err)
}

// Released deletes all connections from and to the addresses of containers, of whatever
// protocol: those whose first packet came from one of them, and those whose answers do.
// The number and errors are as for [Conn.Removed].
func (c *Conn) Released(ctx context.Context, addresses []netip.Addr) (deleted int, err error) {
	all, err := byFamily(addresses, normalAddress)
	if err == nil {
		deleted, err = forget(ctx, c, all, func(addresses []netip.Addr, count int) job {
			return job{
				exact: ends(addresses, affordable(count, wholeDump)),
				rough: filter{ipv6: addresses[0].Is6()},
				match: releasedMatcher(addresses),
			}
		})
	}
	return deleted, cnm.Wrap("conntrack: forget connections of released addresses", err)
}

// What an entry costs a dump, in the time that it costs a deletion with a filter: the
// kernel compares it, or sends it and we do.
const (
	narrowDump = 1
	wholeDump  = 5
)

// affordable returns how many deletions with a filter cost the kernel no more than one
// dump of a table with so many entries. What both cost without entries is in the time of
// 600 and of 12,000: see the table at the top of the package. Entries of other namespaces
// cost both the same, and are not counted.
func affordable(count, dump int) int { return (12000 + dump*count) / (600 + count) }
