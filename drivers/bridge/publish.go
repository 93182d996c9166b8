package bridge

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/netstate"
)

// PortBindings returns what a binding that was asked for comes to: one for each address
// of the host that it is to be reached at, all with the same port of the host. One
// without an address of the host takes no port there: it opens the container's own.
func (d *Driver) PortBindings(n *cnm.Network, ep *cnm.Endpoint, asked cnm.PortBinding) ([]cnm.PortBinding, error) {
	o, err := parseNetwork(n)
	if err != nil {
		return nil, err
	}
	p := publisher{d: d, network: n, options: o, endpoint: ep, asked: asked}
	out, err := p.expand()
	if err != nil {
		what := fmt.Sprintf("published port %s/%d", netstate.Protocol(asked.Protocol), asked.Port)
		return nil, cnm.Wrap(what, err)
	}
	return out, nil
}

// publisher finds out what one binding comes to.
type publisher struct {
	d        *Driver
	network  *cnm.Network
	options  *network
	endpoint *cnm.Endpoint
	asked    cnm.PortBinding
}

func refuse(format string, values ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, values...))
}

func (p *publisher) expand() ([]cnm.PortBinding, error) {
	if p.network.Internal {
		return nil, refuse("network %q is internal, and cannot be reached from outside", p.network.Name)
	}
	targets, err := p.targets()
	if err != nil {
		return nil, err
	}
	var out []cnm.PortBinding
	for _, host := range p.hosts() {
		if binding, ok := p.bind(host, targets); ok {
			out = append(out, binding)
		}
	}
	if len(out) == 0 {
		return nil, p.unreachable()
	}
	for _, binding := range out {
		if p.options.translates(binding.IP) && p.filterOff(binding.IP) && !binding.Proxy {
			return nil, cnm.E("", cnm.Unsupported, errors.New("the driver's packet filter is switched off; switch it on, or EnableUserlandProxy"))
		}
	}
	return out, nil
}

// targets returns the addresses of the container that are to be reached, IPv4 first.
func (p *publisher) targets() ([]netip.Addr, error) {
	var out []netip.Addr
	for _, own := range []netip.Prefix{p.endpoint.IPv4, p.endpoint.IPv6} {
		if own.IsValid() && (!p.asked.IP.IsValid() || p.asked.IP == own.Addr()) {
			out = append(out, own.Addr())
		}
	}
	if len(out) == 0 {
		return nil, refuse("container address %s is not one of the endpoint's", p.asked.IP)
	}
	return out, nil
}

// hosts returns the addresses of the host that were asked for, or the default ones.
func (p *publisher) hosts() []netip.Addr {
	for _, address := range []netip.Addr{p.asked.HostIP, p.options.binding, p.d.config.BindingIP} {
		if address.IsValid() {
			return []netip.Addr{address}
		}
	}
	return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
}

// bind leads from an address of the host to one of the container.
func (p *publisher) bind(host netip.Addr, targets []netip.Addr) (cnm.PortBinding, bool) {
	target, ok := p.target(host, targets)
	if !ok {
		return cnm.PortBinding{}, false
	}
	binding := p.asked
	binding.HostIP, binding.IP, binding.Proxy = host, target, p.proxied(host)
	if !p.options.translates(target) {
		binding.HostIP, binding.HostPort, binding.HostPortEnd, binding.Proxy = netip.Addr{}, 0, 0, false
	}
	return binding, true
}

// target returns the address of the host's family if there is one, and otherwise, for a
// proxy, the IPv4 address behind one of IPv6.
func (p *publisher) target(host netip.Addr, targets []netip.Addr) (netip.Addr, bool) {
	for _, target := range targets {
		if target.Is4() == host.Is4() {
			return target, true
		}
	}
	proxied := host.Is6() && p.proxied(host) && !p.options.noProxy6To4 && p.options.translates(targets[0])
	return targets[0], proxied
}

// proxiedRow is how many ports in a row are proxied at most, where nobody asked for it:
// each takes a socket that listens.
const proxiedRow = 256

// proxied reports whether there is to be a proxy for what the kernel cannot do: the
// loopback of IPv6 and the way from IPv6 to IPv4, and if it is wished, the loopback of
// IPv4. SCTP has none.
func (p *publisher) proxied(host netip.Addr) bool {
	if p.asked.Protocol == uint8(netstate.SCTP) {
		return false
	}
	byKernel := host.Is4() || !host.IsUnspecified() && !host.IsLoopback() && !p.crosses()
	return p.d.config.UserlandProxy || !byKernel && p.asked.Count() <= proxiedRow
}

// crosses reports whether IPv6 can only lead to an IPv4 address.
func (p *publisher) crosses() bool { return !p.endpoint.IPv6.IsValid() || p.asked.IP.Is4() }

// unreachable says why no address of the host leads to the container.
func (p *publisher) unreachable() error {
	host := p.hosts()[0]
	if host.Is4() {
		return refuse("the endpoint has no IPv4 address to be reached at from %s", host)
	}
	return refuse("the endpoint has no IPv6 address to be reached at from %s; from IPv6 to IPv4 goes a proxy, "+
		"unless the network's option %s, SCTP, or a range of more than %d ports forbids it", host, optNoProxy, proxiedRow)
}

func (o *network) translates(target netip.Addr) bool {
	if target.Is6() {
		return o.mode6.Translates()
	}
	return o.mode4.Translates()
}

func (p *publisher) filterOff(target netip.Addr) bool {
	if target.Is6() {
		return p.d.config.NoFilter6
	}
	return p.d.config.NoFilter4
}

// Publications returns what the packet filter shall do for what is published through the
// endpoint.
func (d *Driver) Publications(n *cnm.Network, ep *cnm.Endpoint) ([]netstate.Intent, error) {
	o, err := parseNetwork(n)
	if err != nil {
		return nil, err
	}
	policy := d.policy(n, o)
	var out []netstate.Intent
	for _, b := range ep.Published {
		switch {
		case b.IP.Is6() && d.config.NoFilter6, b.IP.Is4() && d.config.NoFilter4:
		case b.HostIP.Is6() && b.IP.Is4():
			// A proxy alone goes from one family to the other.
		default:
			out = append(out, policy.Publish(firewall.Publication{
				Protocol: netstate.Protocol(b.Protocol), Host: b.HostIP, HostPort: b.HostPort,
				Target: b.IP, Port: b.Port, Count: b.Count(),
			})...)
		}
	}
	return out, nil
}
