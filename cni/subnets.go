package cni

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// decodeSubnets reads the network's subnets: from keys of ours, from the block "ipam" in
// the form that host-local has, or from the capability "ipRanges".
func (c *configuration) decodeSubnets(o *object) []subnet {
	var list []json.RawMessage
	o.take("subnets", &list)
	var out []subnet
	for _, text := range list {
		out = append(out, o.decodeSubnet(text)...)
	}
	var single subnet
	if o.take("subnet", &single.Subnet) {
		o.take("range", &single.Range)
		o.take("gateway", &single.Gateway)
		o.check("subnet", single)
		out = append(out, single)
	} else {
		o.only("range", "belongs to \"subnet\", which is missing")
		o.only("gateway", "belongs to \"subnet\", which is missing")
	}
	if o.has("ipam") {
		if len(out) > 0 {
			o.refuse("ipam", o.members["ipam"], "give the subnets here or in \"subnets\", not both")
		}
		out = c.decodeIPAM(o)
	}
	return out
}

// decodeSubnet reads an entry of "subnets": a subnet, or an object.
func (o *object) decodeSubnet(text json.RawMessage) []subnet {
	var s subnet
	if json.Unmarshal(text, &s.Subnet) == nil {
		o.check("subnets", s)
		return []subnet{s}
	}
	entry, err := newObject(o.path+"subnets.", text)
	if err != nil {
		o.errs = append(o.errs, err)
		return nil
	}
	entry.take("subnet", &s.Subnet)
	entry.take("range", &s.Range)
	entry.take("gateway", &s.Gateway)
	entry.take("aux", &s.Aux)
	entry.check("subnet", s)
	if err := entry.done(); err != nil {
		o.errs = append(o.errs, err)
	}
	return []subnet{s}
}

// check refuses a subnet that is not one; the library checks the rest of it.
func (o *object) check(key string, s subnet) {
	if p, err := netip.ParsePrefix(s.Subnet); err != nil || p != p.Masked() {
		o.errs = append(o.errs, invalid("key %q with value %q: want a subnet such as 10.20.0.0/16", o.path+key, s.Subnet))
	}
}

// decodeIPAM reads a block as it is written for the plugin host-local. The addresses are
// managed here, whatever the type, so only what comes to the same is taken.
func (c *configuration) decodeIPAM(o *object) []subnet {
	block := o.child("ipam")
	var kind string
	if block.take("type", &kind); kind != "" && kind != "host-local" {
		block.refuse("type", kind, "addresses are managed by this plugin: take the block \"ipam\" out, or write it as for \"host-local\"")
	}
	var out []subnet
	if block.has("subnet") {
		out = append(out, block.hostLocalRange()...)
	}
	var sets [][]json.RawMessage
	if block.take("ranges", &sets) {
		out = append(out, block.rangeSets("ranges", sets)...)
	}
	c.decodeRoutes(block, out)
	if err := block.done(); err != nil {
		o.errs = append(o.errs, err)
	}
	return out
}

// rangeSets reads sets of ranges: an address comes from each set, so there is one for each
// family at most.
func (o *object) rangeSets(key string, sets [][]json.RawMessage) []subnet {
	var out []subnet
	families := make(map[bool]bool)
	for _, set := range sets {
		var family bool
		for i, text := range set {
			entry, err := newObject(o.path+key+".", text)
			if err != nil {
				o.errs = append(o.errs, err)
				return nil
			}
			ranges := entry.hostLocalRange()
			if err := entry.done(); err != nil {
				o.errs = append(o.errs, err)
				return nil
			}
			is6 := strings.Contains(ranges[0].Subnet, ":")
			if i > 0 && is6 != family {
				o.refuse(key, text, "ranges of a set must be of one address family")
			}
			family = is6
			out = append(out, ranges...)
		}
		if len(set) > 0 && families[family] {
			o.refuse(key, sets, "an interface has one address of each family: want one set for each")
		}
		families[family] = true
	}
	return out
}

// hostLocalRange takes subnet, rangeStart, rangeEnd and gateway.
func (o *object) hostLocalRange() []subnet {
	var s subnet
	var start, end string
	o.take("subnet", &s.Subnet)
	o.take("gateway", &s.Gateway)
	o.take("rangeStart", &start)
	o.take("rangeEnd", &end)
	o.check("subnet", s)
	pool, err := netip.ParsePrefix(s.Subnet)
	if err != nil || start == "" && end == "" {
		return []subnet{s}
	}
	first, last, err := bounds(pool, start, end)
	if err != nil {
		o.errs = append(o.errs, invalid("keys %q and %q: %s", o.path+"rangeStart", o.path+"rangeEnd", err))
		return []subnet{s}
	}
	covered, ok := covering(first, last, pool)
	if !ok {
		o.refuse("rangeStart", start, "with \"rangeEnd\" "+end+": ranges must be subnets, such as 10.20.8.0/24; write it as \"subnets\": [{\"subnet\": "+s.Subnet+", \"range\": ...}]")
		return []subnet{s}
	}
	if covered != pool {
		s.Range = covered.String()
	}
	return []subnet{s}
}

// bounds reads the ends of a range; what is left out is that of the subnet.
func bounds(pool netip.Prefix, start, end string) (first, last netip.Addr, err error) {
	first, last = pool.Addr(), lastOf(pool)
	if start != "" {
		if first, err = netip.ParseAddr(start); err != nil {
			return first, last, err
		}
	}
	if end != "" {
		last, err = netip.ParseAddr(end)
	}
	return first, last, err
}

// lastOf returns the highest address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for i := p.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 1 << (7 - i%8)
	}
	last, _ := netip.AddrFromSlice(bytes)
	return last
}

// covering returns the prefix that has the same addresses for containers as the range:
// its ends may be left out, as they are the network's and the broadcast address, and the
// one behind the first, as it is usually the gateway's.
func covering(first, last netip.Addr, pool netip.Prefix) (netip.Prefix, bool) {
	for bits := pool.Bits(); bits <= pool.Addr().BitLen(); bits++ {
		p := netip.PrefixFrom(first, bits).Masked()
		low, high := p.Addr(), lastOf(p)
		whole := p == pool
		firstFits := first == low || whole && (first == low.Next() || first == low.Next().Next())
		lastFits := last == high || whole && last == high.Prev()
		if firstFits && lastFits {
			return p, pool.Contains(first) && pool.Contains(last)
		}
	}
	return netip.Prefix{}, false
}

// decodeRoutes takes routes that the network has anyway: default routes, and those by its
// gateway, which the default route covers.
func (c *configuration) decodeRoutes(o *object, subnets []subnet) {
	var routes []json.RawMessage
	if !o.take("routes", &routes) {
		return
	}
	for _, text := range routes {
		var route types.Route
		if err := json.Unmarshal(text, &route); err != nil {
			o.errs = append(o.errs, o.decodeError("routes", text, err))
			continue
		}
		byGateway := route.GW == nil || slices.ContainsFunc(subnets, func(s subnet) bool { return s.Gateway == route.GW.String() })
		extra := route.MTU != 0 || route.AdvMSS != 0 || route.Priority != 0 || route.Table != nil || route.Scope != nil
		switch {
		case extra:
			o.refuse("routes", text, "routes have no mtu, advmss, priority, table or scope here")
		case c.network.Internal:
			o.refuse("routes", text, "an internal network has no routes")
		case !byGateway:
			o.refuse("routes", text, "containers have a default route by the network's gateway, and no others")
		}
	}
}
