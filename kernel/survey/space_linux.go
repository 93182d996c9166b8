package survey

import (
	"context"
	"errors"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// Look returns what the namespace at path holds; empty is that of the process.
func Look(ctx context.Context, path string) (Space, error) {
	namespace, err := netns.Open(path)
	if err != nil {
		return Space{}, cnm.Wrap("look at namespace", err)
	}
	defer namespace.Close() //nolint:errcheck // read only
	space, err := look(ctx, namespace)
	return space, cnm.Wrap("look at namespace", err)
}

func look(ctx context.Context, namespace *netns.Namespace) (s Space, err error) {
	err = namespace.Do(func() (err error) {
		conn, err := rtnl.Dial()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, conn.Close()) }()
		names, err := s.readLinks(ctx, conn)
		if err != nil {
			return err
		}
		routes, err := conn.Routes(ctx)
		if err != nil {
			return err
		}
		for _, r := range routes {
			s.Routes = append(s.Routes, Route{Destination: r.Destination, Gateway: r.Gateway, Link: names[r.Link], Metric: r.Metric})
		}
		return s.readNeighbors(names)
	})
	return s, err
}

// readLinks returns the links' names by index.
func (s *Space) readLinks(ctx context.Context, conn *rtnl.Conn) (map[int]string, error) {
	links, err := conn.Links(ctx)
	if err != nil {
		return nil, err
	}
	addresses, err := conn.Addrs(ctx)
	if err != nil {
		return nil, err
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	for _, l := range links {
		out := Link{Name: l.Name, Kind: l.Kind, Alias: l.Alias, Master: names[l.Master], MTU: l.MTU, Up: l.Up, Loop: l.Loop}
		out.MAC, _ = netstate.MACFrom(l.MAC) // a link without one has zero
		for _, a := range addresses {
			if a.Link == l.Index {
				out.Addresses = append(out.Addresses, a.Prefix)
			}
		}
		s.Links = append(s.Links, out)
	}
	return names, nil
}

// readNeighbors reads in the namespace of the calling thread.
func (s *Space) readNeighbors(names map[int]string) error {
	states := []struct {
		bit  int
		name string
	}{
		{netlink.NUD_PERMANENT, "PERMANENT"}, {netlink.NUD_NOARP, "NOARP"}, {netlink.NUD_REACHABLE, "REACHABLE"},
		{netlink.NUD_STALE, "STALE"}, {netlink.NUD_DELAY, "DELAY"}, {netlink.NUD_PROBE, "PROBE"},
		{netlink.NUD_INCOMPLETE, "INCOMPLETE"}, {netlink.NUD_FAILED, "FAILED"},
	}
	neighbors, err := netlink.NeighList(0, 0)
	if err != nil {
		return errno.Wrap("list neighbours", err)
	}
	for _, n := range neighbors {
		address, ok := addrFromIP(n.IP)
		if !ok || n.State&netlink.NUD_NOARP != 0 {
			continue
		}
		out := Neighbor{Link: names[n.LinkIndex], Address: address, MAC: n.HardwareAddr.String(), State: "NONE"}
		for _, state := range states {
			if n.State&state.bit != 0 {
				out.State = state.name
				break
			}
		}
		s.Neighbors = append(s.Neighbors, out)
	}
	return nil
}
