package portmap

import (
	"fmt"
	"net/netip"
	"os"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// claim is a port of one address, or several in a row.
type claim struct {
	holder   Holder
	protocol netstate.Protocol
	address  netip.Addr
	ports    netstate.PortRange
	proxied  bool

	// users counts the reservations that share the claim; the table guards it.
	users int
	// sockets hold the ports, in order. There are none for a wide range, and for a
	// protocol that the kernel has no sockets for.
	sockets []*os.File
}

// wide claims are held by no sockets. A proxy needs them.
func (c *claim) wide() bool { return !c.proxied && c.count() > widest }

func (c *claim) count() int { return int(c.ports.Last) - int(c.ports.First) + 1 }

func (c *claim) subject() string {
	text := fmt.Sprintf("%s port %s", c.protocol, netip.AddrPortFrom(c.address, c.ports.First))
	if c.count() > 1 {
		text += fmt.Sprintf("-%d", c.ports.Last)
	}
	return text
}

// same reports whether a holder asks for what it has.
func (c *claim) same(o *claim) bool {
	return c.holder.ID == o.holder.ID && c.protocol == o.protocol && c.address == o.address && c.ports == o.ports && c.proxied == o.proxied
}

// table finds claims by port.
type table struct {
	narrow map[slot][]*claim
	wide   []*claim
}

type slot struct {
	protocol netstate.Protocol
	port     uint16
}

func newTable() table { return table{narrow: make(map[slot][]*claim)} }

// take enters a claim, or shares the one that the same holder has.
func (t *table) take(wanted claim) (taken *claim, shared bool, err error) {
	if other := t.meeting(&wanted); other != nil {
		if other.same(&wanted) {
			other.users++
			return other, true, nil
		}
		return nil, false, cnm.E("reserve "+wanted.subject(), cnm.Exists, fmt.Errorf("in use by %s", other.holder.Name))
	}
	wanted.users = 1
	taken = &wanted
	if taken.wide() {
		t.wide = append(t.wide, taken)
		return taken, false, nil
	}
	t.each(taken, func(s slot) { t.narrow[s] = append(t.narrow[s], taken) })
	return taken, false, nil
}

// meeting returns a claim that shares a port with c, or nil. A claim that is the same as
// c is the only one.
func (t *table) meeting(c *claim) *claim {
	meets := func(other *claim) bool {
		return other.protocol == c.protocol && other.ports.First <= c.ports.Last && c.ports.First <= other.ports.Last &&
			overlap(c.address, other.address)
	}
	if i := slices.IndexFunc(t.wide, meets); i >= 0 {
		return t.wide[i]
	}
	for port := int(c.ports.First); port <= int(c.ports.Last); port++ {
		others := t.narrow[slot{c.protocol, uint16(port)}]
		if i := slices.IndexFunc(others, meets); i >= 0 {
			return others[i]
		}
	}
	return nil
}

// drop takes one user away, and with the last one the claim, whose sockets it returns.
func (t *table) drop(c *claim) []*os.File {
	if c.users--; c.users > 0 {
		return nil
	}
	isC := func(other *claim) bool { return other == c }
	t.wide = slices.DeleteFunc(t.wide, isC)
	t.each(c, func(s slot) {
		if rest := slices.DeleteFunc(t.narrow[s], isC); len(rest) > 0 {
			t.narrow[s] = rest
		} else {
			delete(t.narrow, s)
		}
	})
	return c.sockets
}

func (t *table) each(c *claim, visit func(slot)) {
	for port := int(c.ports.First); port <= int(c.ports.Last); port++ {
		visit(slot{c.protocol, uint16(port)})
	}
}

// overlap reports whether sockets at the two addresses would meet: those of IPv6 are for
// IPv6 alone.
func overlap(a, b netip.Addr) bool {
	return a.Is4() == b.Is4() && (a == b || a.IsUnspecified() || b.IsUnspecified())
}
