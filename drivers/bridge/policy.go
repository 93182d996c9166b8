package bridge

import (
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/firewall"
	"github.com/docker/libnetwork/netstate"
)

// policy is what package firewall must know of the network.
func (d *Driver) policy(n *cnm.Network, o *network) firewall.Network {
	family := func(off bool, mode firewall.Mode, subnets []cnm.Subnet, source netip.Addr) firewall.Family {
		f := firewall.Family{Off: off, Mode: mode, Masquerade: o.masquerade, Source: source}
		for _, s := range subnets {
			f.Subnets = append(f.Subnets, s.Pool.Prefix)
		}
		return f
	}
	return firewall.Network{
		Bridge: o.bridge,
		IPv4:   family(d.config.NoFilter4, o.mode4, n.Subnets4, o.source4),
		IPv6:   family(d.config.NoFilter6, o.mode6, n.Subnets6, o.source6),

		Internal: n.Internal, InterContainer: o.icc, Trusted: o.trusted,
		Loopback: !d.config.UserlandProxy,
	}
}

// Forwarding is a switch of the whole host. What an operator should know is said once,
// when it is turned.
const (
	warnForwarding4 = "the host now forwards IPv4 packets, for all of its links; to let it forward for containers only: " + onlyOurs
	warnForwarding6 = "the host now forwards IPv6 packets, for all of its links; a link that takes its address from router " +
		"advertisements needs accept_ra=2 now; to let the host forward for containers only: " + onlyOurs
	onlyOurs = `nft 'table inet operator { chain forward { type filter hook forward priority 0; policy drop; ` +
		`iifname "br-*" accept; oifname "br-*" accept; }; }'`
)

// forwarding returns the settings of the host without which nothing gets through to the
// network. They stay when the network goes: somebody else may rely on them by then.
func (d *Driver) forwarding(n *cnm.Network, o *network) []netstate.Sysctl {
	if n.Internal {
		return nil
	}
	var out []netstate.Sysctl
	if !d.config.NoForwarding && len(n.Subnets4) > 0 {
		out = append(out, netstate.Sysctl{Key: "net/ipv4/ip_forward", Value: "1", Warning: warnForwarding4})
	}
	if !d.config.NoForwarding && len(n.Subnets6) > 0 {
		out = append(out, netstate.Sysctl{Key: "net/ipv6/conf/all/forwarding", Value: "1", Warning: warnForwarding6})
	}
	if policy := d.policy(n, o); policy.ReachedByLoopback() {
		local := netstate.Sysctl{Key: "net/ipv4/conf/" + o.bridge + "/route_localnet", Value: "1"}
		if o.named {
			// A bridge that somebody else made stays. What keeps it from the host's loopback
			// goes.
			local.After = "0"
		}
		out = append(out, local)
	}
	return out
}
