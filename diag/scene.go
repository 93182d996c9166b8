package diag

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netstate"
)

// scene is what an answer is made of: the records, and the machine as it was found. It is
// never changed.
type scene struct {
	records libnetwork.Records
	machine *survey.Report
	// filtered says that there is a packet filter to carry out intents.
	filtered bool

	networks  map[string]*cnm.Network    // by id
	sandboxes map[string]*cnm.Sandbox    // by id
	members   map[string][]*cnm.Endpoint // of sandboxes, by their id
	bridges   map[string]*cnm.Network    // by the bridge's name
	intents   []netstate.Intent
}

func newScene(records libnetwork.Records, machine *survey.Report, backend string) *scene {
	s := &scene{
		records: records, machine: machine, filtered: backend != "none",
		networks: make(map[string]*cnm.Network), sandboxes: make(map[string]*cnm.Sandbox),
		members: make(map[string][]*cnm.Endpoint), bridges: make(map[string]*cnm.Network),
	}
	for _, n := range records.Networks {
		s.networks[n.ID] = n
		if bridge := bridgeOf(n); bridge.Name != "" {
			s.bridges[bridge.Name] = n
		}
		for _, p := range n.Parts {
			s.intents = append(s.intents, p.Intents...)
		}
	}
	for _, sb := range records.Sandboxes {
		s.sandboxes[sb.ID] = sb
	}
	for _, ep := range records.Endpoints {
		if ep.SandboxID == "" {
			continue
		}
		s.members[ep.SandboxID] = append(s.members[ep.SandboxID], ep)
		s.intents = append(s.intents, ep.Intents...)
	}
	if !s.filtered {
		s.intents = nil
	}
	for _, members := range s.members {
		slices.SortFunc(members, s.byGatewayRank)
	}
	return s
}

// byGatewayRank orders the endpoints of a sandbox by who gives the default route, as the
// controller does.
func (s *scene) byGatewayRank(a, b *cnm.Endpoint) int {
	return cmp.Or(
		cmp.Compare(b.Priority, a.Priority),
		cmp.Compare(s.networkName(a.NetworkID), s.networkName(b.NetworkID)),
		cmp.Compare(a.Order, b.Order),
	)
}

func (s *scene) networkName(id string) string {
	if n := s.networks[id]; n != nil {
		return n.Name
	}
	return id
}

// bridgeOf returns the network's bridge; one without a name if it has none.
func bridgeOf(n *cnm.Network) netstate.Link {
	for _, p := range n.Parts {
		for _, l := range p.Links {
			if p.Namespace == "" && l.Kind == netstate.Bridge {
				return l
			}
		}
	}
	return netstate.Link{}
}

// portOf returns the endpoint's end on the host, a port of its network's bridge.
func portOf(ep *cnm.Endpoint) netstate.Link {
	for _, p := range ep.Parts {
		for _, l := range p.Links {
			if p.Namespace == "" && l.Master != "" {
				return l
			}
		}
	}
	return netstate.Link{}
}

// addressesOf returns the endpoint's own, IPv4 first.
func addressesOf(ep *cnm.Endpoint) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range append([]netip.Prefix{ep.IPv4, ep.IPv6}, ep.LinkLocal...) {
		if p.IsValid() {
			out = append(out, p)
		}
	}
	return out
}

func hasAddress(ep *cnm.Endpoint, address netip.Addr) bool {
	return slices.ContainsFunc(addressesOf(ep), func(p netip.Prefix) bool { return p.Addr() == address })
}

// holder returns the endpoint, in a sandbox, that has the address; nil if there is none.
func (s *scene) holder(address netip.Addr) *cnm.Endpoint {
	for _, ep := range s.records.Endpoints {
		// Link-local addresses are the same in many networks: they name nobody.
		if ep.SandboxID != "" && !address.IsLinkLocalUnicast() && hasAddress(ep, address) {
			return ep
		}
	}
	return nil
}

// container finds a sandbox by the container's id, the beginning of it, or the name of one
// of its endpoints; several that fit are all returned.
func (s *scene) containers(name string) []*cnm.Sandbox {
	for _, fits := range []func(*cnm.Sandbox) bool{
		func(sb *cnm.Sandbox) bool { return sb.ContainerID == name || sb.ID == name },
		func(sb *cnm.Sandbox) bool {
			return slices.ContainsFunc(s.members[sb.ID], func(ep *cnm.Endpoint) bool {
				return strings.EqualFold(ep.Name, name) || slices.Contains(ep.MyAliases, name)
			})
		},
		func(sb *cnm.Sandbox) bool {
			return strings.HasPrefix(sb.ContainerID, name) || strings.HasPrefix(sb.ID, name)
		},
	} {
		var found []*cnm.Sandbox
		for _, sb := range s.records.Sandboxes {
			if name != "" && fits(sb) {
				found = append(found, sb)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// intent returns the first one that fits, and whether there is one.
func (s *scene) intent(fits func(netstate.Intent) bool) (netstate.Intent, bool) {
	i := slices.IndexFunc(s.intents, fits)
	if i < 0 {
		return netstate.Intent{}, false
	}
	return s.intents[i], true
}

// of returns whether there is an intent of the kind for the link.
func (s *scene) of(kind netstate.IntentKind, link string, ipv6 bool) (netstate.Intent, bool) {
	return s.intent(func(i netstate.Intent) bool {
		family := kind != netstate.Inbound && kind != netstate.Confine || i.IPv6 == ipv6
		return i.Kind == kind && i.Link == link && family && link != ""
	})
}

func (s *scene) allow(from, to string) (netstate.Intent, bool) {
	return s.intent(func(i netstate.Intent) bool { return i.Kind == netstate.Allow && i.From == from && i.Link == to })
}

// hostAddress returns the address of the family that the host has on a link, or, if the
// link is empty, one that others may know it by.
func (s *scene) hostAddress(link string, ipv6 bool) netip.Addr {
	for _, l := range s.machine.Host.Links {
		if link == "" && (l.Loop || s.bridges[l.Name] != nil) || link != "" && l.Name != link {
			continue
		}
		for _, p := range l.Addresses {
			if p.Addr().Is6() == ipv6 && !p.Addr().IsLinkLocalUnicast() {
				return p.Addr()
			}
		}
	}
	return netip.Addr{}
}
