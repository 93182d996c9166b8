package portmap

import (
	"context"
	"fmt"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// candidates are the ports that a binding may start at, in the order to try them.
type candidates struct {
	first, last int
	from        int // where to begin
	tried       int
	// dynamic: the host chooses, and leaves these out, for each of so many ports in a row.
	dynamic bool
	skip    []netstate.PortRange
	row     int
}

// candidates reads what the group asks for from its first binding that takes a port.
func (m *Mapper) candidates(ctx context.Context, group []cnm.PortBinding) (*candidates, error) {
	i := slices.IndexFunc(group, func(b cnm.PortBinding) bool { return b.HostIP.IsValid() })
	if i < 0 {
		return &candidates{}, nil
	}
	b := group[i]
	if b.HostPort != 0 {
		last := max(b.HostPort, b.HostPortEnd)
		return &candidates{first: int(b.HostPort), last: int(last), from: int(b.HostPort)}, nil
	}
	first, last, reserved, err := m.sockets.Ephemeral(ctx)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &candidates{first: int(first), last: int(last) - b.Count() + 1, from: int(m.next), dynamic: true, skip: reserved, row: b.Count()}
	if c.from < c.first || c.from > c.last {
		c.from = c.first
	}
	return c, nil
}

// next returns the next port to try.
func (c *candidates) next() (uint16, bool) {
	size := c.last - c.first + 1
	for c.tried < size {
		port := c.first + (c.from-c.first+c.tried)%size
		c.tried++
		skipped := func(r netstate.PortRange) bool { return int(r.First) < port+c.row && port <= int(r.Last) }
		if !slices.ContainsFunc(c.skip, skipped) {
			return uint16(port), true
		}
	}
	return 0, false
}

// settle makes the next search go on behind the port: one that was just released stays
// free for a while, so that nobody's connections reach another container.
func (m *Mapper) settle(c *candidates, port uint16) {
	if !c.dynamic {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.next = port + 1
}

// exhausted says why none of the ports would do. For a single one that is whoever has it.
func (c *candidates) exhausted(b cnm.PortBinding, busy error) error {
	if c.first == c.last && busy != nil {
		return busy
	}
	return cnm.E(fmt.Sprintf("reserve %s port", netstate.Protocol(b.Protocol)), cnm.Exhausted,
		fmt.Errorf("all ports from %d to %d are in use or reserved", c.first, c.last))
}
