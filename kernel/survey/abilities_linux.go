package survey

import (
	"context"
	"errors"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/docker/libnetwork/kernel/netns"
)

// abilities tries out what the kernel can do, in a namespace that is gone afterwards.
func (t *taking) abilities(context.Context) error {
	var tried []Ability
	err := netns.Scratch(func() error {
		for _, p := range probes() {
			tried = append(tried, p.try())
		}
		return nil
	})
	spaces := Ability{Name: "network namespaces", Config: "CONFIG_NET_NS", Present: err == nil}
	if err != nil {
		spaces.Reason = err.Error()
	}
	t.report.Abilities = append([]Ability{spaces}, tried...)
	tracking := Ability{Name: "connection tracking", Config: "CONFIG_NF_CONNTRACK", Module: "nf_conntrack"}
	tracking.Present, tracking.Reason = t.has("net/netfilter/nf_conntrack_max")
	bridged := Ability{Name: "bridged packets in the packet filter", Config: "CONFIG_BRIDGE_NETFILTER", Module: "br_netfilter"}
	bridged.Present, bridged.Reason = t.has("net/bridge/bridge-nf-call-iptables")
	ipv6 := Ability{Name: "IPv6", Config: "CONFIG_IPV6", Module: "ipv6"}
	ipv6.Present, ipv6.Reason = t.has("net/ipv6")
	t.report.Abilities = append(t.report.Abilities, tracking, ipv6, bridged)
	return nil
}

// has reports whether there is something below /proc/sys of the host's namespace.
func (t *taking) has(key string) (present bool, reason string) {
	err := t.host.Do(func() error {
		// By way of net, this is what the thread's own namespace has.
		_, err := os.Stat("/proc/sys/" + key)
		return err
	})
	if err != nil {
		return false, err.Error()
	}
	return true, ""
}

// probe is a piece of a packet filter that a kernel may be able to do.
type probe struct {
	ability Ability
	add     func(*nftables.Conn, *nftables.Table) error
}

func (p probe) try() Ability {
	a := p.ability
	conn, err := nftables.New()
	if err == nil {
		table := conn.AddTable(&nftables.Table{Name: "survey", Family: nftables.TableFamilyINet})
		if err = p.add(conn, table); err == nil {
			err = conn.Flush()
		}
		// What was added stays until the namespace goes; none of it has the same name.
	}
	if a.Present = err == nil; err != nil {
		a.Reason = err.Error()
	}
	return a
}

func probes() []probe {
	base := func(table *nftables.Table, name string, kind nftables.ChainType, hook *nftables.ChainHook) *nftables.Chain {
		return &nftables.Chain{Name: name, Table: table, Type: kind, Hooknum: hook, Priority: nftables.ChainPriorityFilter}
	}
	return []probe{
		{
			Ability{Name: "nftables", Config: "CONFIG_NF_TABLES, CONFIG_NF_TABLES_INET", Module: "nf_tables"},
			func(*nftables.Conn, *nftables.Table) error { return nil },
		},
		{
			Ability{Name: "nftables: network address translation", Config: "CONFIG_NFT_NAT, CONFIG_NF_NAT", Module: "nft_chain_nat"},
			func(c *nftables.Conn, table *nftables.Table) error {
				c.AddChain(base(table, "nat", nftables.ChainTypeNAT, nftables.ChainHookPostrouting))
				return nil
			},
		},
		{
			Ability{Name: "nftables: masquerading", Config: "CONFIG_NFT_MASQ", Module: "nft_masq"},
			func(c *nftables.Conn, table *nftables.Table) error {
				chain := c.AddChain(base(table, "masquerade", nftables.ChainTypeNAT, nftables.ChainHookPostrouting))
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Masq{}}})
				return nil
			},
		},
		{
			Ability{Name: "nftables: own addresses (fib)", Config: "CONFIG_NFT_FIB_INET", Module: "nft_fib_inet"},
			func(c *nftables.Conn, table *nftables.Table) error {
				chain := c.AddChain(base(table, "fib", nftables.ChainTypeFilter, nftables.ChainHookPrerouting))
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
					&expr.Fib{Register: 1, ResultADDRTYPE: true, FlagDADDR: true},
				}})
				return nil
			},
		},
		{
			Ability{Name: "nftables: connection states", Config: "CONFIG_NFT_CT", Module: "nft_ct"},
			func(c *nftables.Conn, table *nftables.Table) error {
				chain := c.AddChain(base(table, "states", nftables.ChainTypeFilter, nftables.ChainHookForward))
				c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}}})
				return nil
			},
		},
		{
			// Since Linux 5.6 (net/netfilter/nft_set_pipapo.c).
			Ability{Name: "nftables: ranges in concatenations", Config: "CONFIG_NF_TABLES of Linux 5.6", Module: "nf_tables"},
			func(c *nftables.Conn, table *nftables.Table) error {
				key, err := nftables.ConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
				if err != nil {
					return errors.Join(errors.New("make the type"), err)
				}
				return c.AddSet(&nftables.Set{Table: table, Name: "ranges", KeyType: key, Interval: true, Concatenation: true}, nil)
			},
		},
	}
}
