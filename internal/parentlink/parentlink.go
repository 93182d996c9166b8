// Package parentlink is what drivers have in common whose endpoints hang on a link of the
// host, their parent: which one that is, what is made of it, and what its endpoints are
// besides.
package parentlink

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/label"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/netstate"
)

// Names of the options that these drivers share.
const (
	prefix         = "com.docker.network."
	optParent      = "parent"
	optMTU         = prefix + "driver.mtu"
	optIfacePrefix = prefix + "container_iface_prefix"
	optNMsgs       = prefix + "advertise_addr_nmsgs"
	optMsgInterval = prefix + "advertise_addr_ms"
)

// Network is what the options of a network say.
type Network struct {
	// Parent is the host's link that endpoints hang on.
	Parent string
	// Own says that it is a link of the network's own, which leads nowhere.
	Own bool
	// MTU is in bytes; zero means the parent's.
	MTU int
	// base and vlan are what a parent such as eth0.10 is made of, if there is none.
	base string
	vlan int
}

// idLength is how much of a network's id is in the names of its links.
const idLength = 12

// LinkName makes the name of a link of the network's own.
func LinkName(start string, n *cnm.Network) string { return start + n.ID[:min(idLength, len(n.ID))] }

// NewDecoder takes a network's options: those of the driver's own, by their names, and
// the shared ones.
func NewDecoder(n *cnm.Network, own ...string) *label.Decoder {
	known := [][]string{{optParent}, {optMTU, "Mtu"}, {optIfacePrefix, "ContainerIfacePrefix"}, {optNMsgs}, {optMsgInterval}}
	for _, name := range own {
		known = append(known, []string{name})
	}
	return label.NewDecoder(n.Options, known...)
}

// Parse reads the shared options. Errors are the decoder's.
func Parse(d *label.Decoder, n *cnm.Network) Network {
	o := Network{Parent: d.String(optParent), MTU: linkoption.MTU(d, optMTU, n.EnableIPv6)}
	switch {
	case o.Parent == "":
		o.Parent, o.Own = LinkName("dm-", n), true
	case o.Parent == "lo":
		d.Refuse(optParent, "another link: the loopback leads nowhere")
	case !linkoption.ValidName(o.Parent):
		d.Refuse(optParent, "an interface name: 1 to 15 characters without blanks, '/', ':' and '%'")
	default:
		o.base, o.vlan = splitVLAN(o.Parent)
	}
	if o.base == "lo" {
		d.Refuse(optParent, "a VLAN of another link: the loopback leads nowhere")
	}
	// An interface's name is the prefix and a number.
	if name := d.String(optIfacePrefix); d.Has(optIfacePrefix) && (len(name) > 12 || !linkoption.ValidName(name)) {
		d.Refuse(optIfacePrefix, "1 to 12 characters without blanks, '/', ':' and '%'")
	}
	d.Int(optNMsgs, 0, 3, 0)
	d.Int(optMsgInterval, 100, 2000, 0)
	return o
}

// Choose reads an option that is one of some words, of which the first is the default.
func Choose(d *label.Decoder, name string, words ...netstate.Mode) netstate.Mode {
	given := netstate.Mode(d.String(name))
	if given == "" {
		return words[0]
	}
	for _, word := range words {
		if given == word {
			return word
		}
	}
	d.Refuse(name, fmt.Sprintf("one of %q", words))
	return words[0]
}

// highestVLAN is the last number for use (IEEE 802.1Q section 9.6).
const highestVLAN = 4094

// splitVLAN takes eth0.10 for VLAN 10 on eth0. Of any other name it returns nothing.
func splitVLAN(name string) (base string, vlan int) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 || !linkoption.ValidName(name[:i]) {
		return "", 0
	}
	vlan, err := strconv.Atoi(name[i+1:])
	if err != nil || vlan < 1 || vlan > highestVLAN || strconv.Itoa(vlan) != name[i+1:] {
		return "", 0
	}
	return name[:i], vlan
}

// Parts returns what the host needs for the load that the parent is to carry.
func (o Network) Parts(n *cnm.Network, load netstate.Load) []netstate.Part {
	load.MTU = o.MTU
	link := netstate.Link{Name: o.Parent, Kind: netstate.Existing, Carries: load}
	owner := n.Owner()
	switch {
	case o.Own:
		link.Kind, link.MTU, link.NoIPv6 = netstate.Dummy, o.MTU, true
	case o.vlan != 0:
		// Networks may share it: it is not the property of one of them.
		owner = cnm.ParentOwner(o.Parent)
		link.Kind, link.Parent, link.VLANID = netstate.VLAN, o.base, o.vlan
		link.Adopt = true
		// Where the host routes for containers, it looks for neighbours by an address of
		// the link's own. Otherwise it is to have none there.
		link.NoIPv6 = load.Mode != netstate.ModeL3 && load.Mode != netstate.ModeL3S
	}
	return []netstate.Part{{Owner: owner, Links: []netstate.Link{link}}}
}

// Shim returns the part of a link by which the host itself is in the network, at the
// addresses that it has there. It leads to the range that endpoints get their addresses
// from, and not to more: the host may have a way of its own to the rest of the subnet.
func (o Network) Shim(n *cnm.Network, link netstate.Link) netstate.Part {
	link.Name, link.Parent, link.MTU = LinkName("ms-", n), o.Parent, o.MTU
	sum := sha256.Sum256([]byte("shim " + n.ID))
	link.MAC, link.NoIPv6 = linkoption.Local(sum[:]), !n.EnableIPv6
	part := netstate.Part{Owner: n.Owner(), Links: []netstate.Link{link}, Sysctls: linkoption.IPv6Sysctls(link.Name, n.EnableIPv6)}
	for _, family := range []struct {
		subnets []cnm.Subnet
		asked   []cnm.PoolConfig
	}{{n.Subnets4, n.IPAM.IPv4}, {n.Subnets6, n.IPAM.IPv6}} {
		for _, s := range family.subnets {
			if !s.Host.IsValid() {
				continue
			}
			address := s.Host.Addr()
			part.Addrs = append(part.Addrs, netstate.Addr{Link: link.Name, Prefix: netip.PrefixFrom(address, address.BitLen())})
			part.Routes = append(part.Routes, netstate.Route{Destination: reach(s, family.asked), Link: link.Name})
		}
	}
	return part
}

// reach is the part of a subnet that endpoints get addresses from.
func reach(s cnm.Subnet, asked []cnm.PoolConfig) netip.Prefix {
	for _, conf := range asked {
		if conf.Pool == s.Pool.Prefix && conf.SubPool.IsValid() {
			return conf.SubPool.Masked()
		}
	}
	return s.Pool.Prefix.Masked()
}

// Gateways returns the next hops of an endpoint's default routes: those that the user
// named for the subnets of its addresses.
func Gateways(n *cnm.Network, ep *cnm.Endpoint) (gateway4, gateway6 netip.Addr) {
	if n.Internal {
		return gateway4, gateway6
	}
	find := func(address netip.Prefix, subnets []cnm.Subnet) netip.Addr {
		for _, s := range subnets {
			if address.IsValid() && s.Pool.Prefix.Contains(address.Addr()) && s.Gateway.IsValid() {
				return s.Gateway.Addr()
			}
		}
		return netip.Addr{}
	}
	return find(ep.IPv4, n.Subnets4), find(ep.IPv6, n.Subnets6)
}

// Join returns the part of an endpoint in its sandbox. Of the link it takes how that hangs
// on its parent.
func (o Network) Join(ep *cnm.Endpoint, sandbox *cnm.Sandbox, link netstate.Link) ([]netstate.Part, error) {
	if sandbox.Host {
		return nil, cnm.E("", cnm.Forbidden, fmt.Errorf("a %s network is for sandboxes with a namespace of their own", link.Kind))
	}
	e, err := linkoption.Parse(ep, o.MTU)
	if err != nil {
		return nil, err
	}
	if e.Ifname != "" {
		ep.Interface = e.Ifname
	}
	ipv6 := linkoption.UsesIPv6(ep)
	link.Name, link.Parent, link.MTU, link.NoIPv6 = ep.Interface, o.Parent, o.MTU, !ipv6
	part := netstate.Part{
		Owner: ep.Owner(), Namespace: sandbox.Key,
		Links:   []netstate.Link{link},
		Addrs:   linkoption.Addresses(ep),
		Sysctls: append(linkoption.IPv6Sysctls(ep.Interface, ipv6), e.Sysctls(ep.Interface)...),
		Limits:  e.Egress.Limits(ep.Interface, ""),
	}
	if e.Ingress.Rate != 0 {
		// There is no end on the host that could hold back what the container receives.
		through := "ifb" + ep.ID[:min(idLength, len(ep.ID))]
		part.Links = append(part.Links, netstate.Link{Name: through, Kind: netstate.IFB, NoIPv6: true})
		part.Limits = append(part.Limits, e.Ingress.Limits(ep.Interface, through)...)
	}
	return []netstate.Part{part}, nil
}

// CheckEndpoint refuses what no endpoint on a parent can have.
func (o Network) CheckEndpoint(n *cnm.Network, ep *cnm.Endpoint) error {
	for _, asked := range ep.PortBindings {
		if err := RefusePort(n, asked); err != nil {
			return err
		}
	}
	_, err := linkoption.Parse(ep, o.MTU)
	return err
}

// RefusePort says why ports of such networks are not published.
func RefusePort(n *cnm.Network, asked cnm.PortBinding) error {
	op := fmt.Sprintf("published port %s/%d", netstate.Protocol(asked.Protocol), asked.Port)
	return cnm.E(op, cnm.Invalid, fmt.Errorf("network %q is of type %s, whose containers are hosts of their own on the parent's network: "+
		"reach them there at their own addresses and ports, or publish through a bridge network, with the default route", n.Name, n.Driver))
}

// ErrNoGateway is what is wrong with a gateway where everything is on the link.
var ErrNoGateway = errors.New("everything is on the link here, and no gateway is asked; leave it away, or keep its address free as an auxiliary one")
