package kernel

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

func (h *host) Observe(ctx context.Context, names ...string) ([]netstate.Part, error) {
	spaces, err := h.existing(names)
	defer func() {
		for _, s := range spaces {
			s.release()
		}
	}()
	if err != nil {
		return nil, cnm.Wrap("observe", err)
	}
	peers := &peerFinder{links: make(map[string][]rtnl.Link), byID: make(map[int32]string), hostID: make(map[string]int32)}
	for _, s := range spaces {
		if peers.links[s.name], err = s.conn.Links(ctx); err != nil {
			return nil, cnm.Wrap("observe", err)
		}
	}
	if err := peers.identify(ctx, spaces); err != nil {
		return nil, cnm.Wrap("observe", err)
	}
	var parts []netstate.Part
	for _, s := range spaces {
		own, err := h.observeSpace(ctx, s, peers)
		if err != nil {
			return nil, cnm.Wrap("observe", err)
		}
		parts = append(parts, own...)
	}
	if len(spaces) > 0 && spaces[0].name == "" {
		filtered, err := h.firewall.observe(ctx)
		if err != nil {
			return nil, cnm.Wrap("observe", err)
		}
		parts = append(parts, filtered...)
	}
	return parts, nil
}

// existing returns the namespaces that exist, each once, sorted. The caller releases
// them, those that come with an error too.
func (h *host) existing(names []string) ([]*space, error) {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var spaces []*space
	for _, name := range names {
		s, err := h.space(name)
		if errors.Is(err, cnm.NotFound) {
			continue
		}
		if err != nil {
			return spaces, err
		}
		spaces = append(spaces, s)
	}
	return spaces, nil
}

// peerFinder finds the other end of the host's veth pairs.
type peerFinder struct {
	links map[string][]rtnl.Link // by namespace
	byID  map[int32]string       // namespaces by the number that the host has for them
	// hostID is the number that a namespace has for the host, by its name.
	hostID map[string]int32
}

func (p *peerFinder) identify(ctx context.Context, spaces []*space) error {
	if len(spaces) < 2 || spaces[0].name != "" {
		return nil
	}
	fds := make([]int, len(spaces)-1)
	for i, s := range spaces[1:] {
		fds[i] = s.namespace.FD()
	}
	ids, err := spaces[0].conn.NamespaceIDs(ctx, fds...)
	if err != nil {
		return err
	}
	for i, s := range spaces[1:] {
		if ids[i] >= 0 {
			p.byID[ids[i]] = s.name
		}
		if !slices.ContainsFunc(p.links[s.name], hangs) {
			continue
		}
		host, err := s.conn.NamespaceIDs(ctx, spaces[0].namespace.FD())
		if err != nil {
			return err
		}
		p.hostID[s.name] = host[0]
	}
	return nil
}

// of returns the other end of a link of the host, if this one is the end that
// creates the pair. That is always the host's end; of a pair with both ends on the
// host it is the one with the higher index, since the kernel registers the peer
// first (veth_newlink in drivers/net/veth.c).
func (p *peerFinder) of(link rtnl.Link) netstate.Peer {
	namespace := ""
	if link.HasPeerNamespace {
		var known bool
		if namespace, known = p.byID[link.PeerNamespaceID]; !known {
			return netstate.Peer{}
		}
	}
	for _, candidate := range p.links[namespace] {
		if candidate.Index != link.Peer || candidate.Kind != link.Kind {
			continue
		}
		if namespace == "" && candidate.Index > link.Index {
			return netstate.Peer{}
		}
		return netstate.Peer{Namespace: namespace, Name: candidate.Name}
	}
	return netstate.Peer{}
}

// picture gathers the parts of one namespace.
type picture struct {
	namespace    string
	addrProtocol bool              // see host
	links        map[int]rtnl.Link // by index
	owners       map[int]string    // by index of the link
	parts        map[string]*netstate.Part
}

func (p *picture) part(owner string) *netstate.Part {
	if p.parts[owner] == nil {
		p.parts[owner] = &netstate.Part{Owner: owner, Namespace: p.namespace}
	}
	return p.parts[owner]
}

// partOf returns where something on a link belongs: with the link's owner if it is
// marked as ours.
func (p *picture) partOf(link int, protocol uint8) *netstate.Part {
	if protocol != rtnl.Protocol {
		return p.part("")
	}
	return p.part(p.owners[link])
}

func (h *host) observeSpace(ctx context.Context, s *space, peers *peerFinder) ([]netstate.Part, error) {
	p := &picture{
		namespace: s.name, addrProtocol: h.addrProtocol, links: make(map[int]rtnl.Link),
		owners: make(map[int]string), parts: make(map[string]*netstate.Part),
	}
	for _, link := range peers.links[s.name] {
		p.links[link.Index] = link
		p.owners[link.Index], _ = h.owner(link)
	}
	for _, link := range peers.links[s.name] {
		part := p.part(p.owners[link.Index])
		described := p.describe(link, peers)
		if source := h.adoptedName(link); source != "" {
			described = netstate.Link{Name: link.Name, Kind: netstate.Adopted, Source: source, MAC: described.MAC, MTU: link.MTU, Down: !link.Up}
		}
		part.Links = append(part.Links, described)
	}
	if err := p.addTables(ctx, s.conn); err != nil {
		return nil, err
	}
	if err := p.addLimits(ctx, s.conn); err != nil {
		return nil, err
	}
	var parts []netstate.Part
	for _, part := range p.parts {
		sortPart(part)
		parts = append(parts, *part)
	}
	slices.SortFunc(parts, func(a, b netstate.Part) int { return cmp.Compare(a.Owner, b.Owner) })
	return parts, nil
}

func (p *picture) describe(link rtnl.Link, peers *peerFinder) netstate.Link {
	out := netstate.Link{Name: link.Name, Kind: netstate.Kind(link.Kind), MTU: link.MTU, NoIPv6: link.NoIPv6, Isolated: link.Port.Isolated, Hairpin: link.Port.Hairpin, Down: !link.Up,
		Mode: link.Mode, Flag: link.Flag, VLANID: link.VLANID}
	switch {
	case link.Loop:
		out.Kind = netstate.Existing
	case link.Kind == "":
		out.Kind = "physical"
	}
	if mac, err := netstate.MACFrom(link.MAC); err == nil {
		out.MAC = mac
	}
	if link.Master != 0 {
		out.Master = p.links[link.Master].Name
	}
	switch out.Kind {
	case netstate.Veth:
		if p.namespace == "" {
			out.Peer = peers.of(link)
		}
	case netstate.Macvlan, netstate.IPvlan, netstate.VLAN:
		out.Parent = peers.parentOf(p.namespace, link)
	}
	return out
}

func (p *picture) addTables(ctx context.Context, conn *rtnl.Conn) error {
	addrs, err := conn.Addrs(ctx)
	if err != nil {
		return err
	}
	for _, a := range addrs {
		if kernelMade(a) {
			continue
		}
		part := p.partOf(a.Link, a.Protocol)
		if !p.addrProtocol {
			// Nothing tells whose it is but the link.
			part = p.part(p.owners[a.Link])
		}
		part.Addrs = append(part.Addrs, netstate.Addr{Link: p.links[a.Link].Name, Prefix: a.Prefix})
	}
	routes, err := conn.Routes(ctx)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if r.Protocol == unix.RTPROT_KERNEL || r.Link == 0 {
			continue // the latter has several next hops, as none of ours
		}
		part := p.partOf(r.Link, r.Protocol)
		part.Routes = append(part.Routes, netstate.Route{
			Destination: r.Destination, Gateway: r.Gateway, Link: p.links[r.Link].Name, Metric: r.Metric,
		})
	}
	neighbors, err := conn.Neighbors(ctx)
	if err != nil {
		return err
	}
	for _, n := range neighbors {
		part := p.partOf(n.Link, n.Protocol)
		part.Neighbors = append(part.Neighbors, netstate.Neighbor{Link: p.links[n.Link].Name, IP: n.IP, MAC: n.MAC})
	}
	return nil
}

// kernelMade reports whether the kernel gives the address by itself: those of the
// loopback, and the link-local one of every IPv6 link.
func kernelMade(a rtnl.Addr) bool {
	address := a.Prefix.Addr()
	return a.Protocol != rtnl.Protocol && (address.IsLoopback() || address.Is6() && address.IsLinkLocalUnicast())
}

func sortPart(p *netstate.Part) {
	slices.SortFunc(p.Links, func(a, b netstate.Link) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(p.Addrs, func(a, b netstate.Addr) int {
		return cmp.Or(cmp.Compare(a.Link, b.Link), comparePrefix(a.Prefix, b.Prefix))
	})
	slices.SortFunc(p.Routes, func(a, b netstate.Route) int {
		return cmp.Or(comparePrefix(a.Destination, b.Destination), cmp.Compare(a.Metric, b.Metric),
			cmp.Compare(a.Link, b.Link), a.Gateway.Compare(b.Gateway))
	})
	slices.SortFunc(p.Limits, func(a, b netstate.Limit) int {
		return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(a.Through, b.Through))
	})
	slices.SortFunc(p.Neighbors, func(a, b netstate.Neighbor) int {
		return cmp.Or(cmp.Compare(a.Link, b.Link), a.IP.Compare(b.IP))
	})
}

func comparePrefix(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}
