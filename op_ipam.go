package libnetwork

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/ipamapi"
	"github.com/docker/libnetwork/plugin"
)

// optionSerial asks an address manager for addresses that were not used lately.
const optionSerial = "com.docker.network.ipam.serial"

// allocator asks the address manager of one network, and remembers how to undo it.
type allocator struct {
	c    *controller
	name string // the manager's
	ipam cnm.IPAM
	undo *undo.Stack
	// avoid are prefixes that the host reaches already, once they have been read.
	avoid    []netip.Prefix
	observed bool
	// plan is what the network's driver wants of each subnet.
	plan cnm.AddressPlan
}

// ipam returns an address manager: one of this build, or else that of a plugin of the name,
// whether or not there is one.
func (c *controller) ipam(name string) (cnm.IPAM, error) {
	name = cmp.Or(name, ipamapi.DefaultIPAM)
	if ipam, ok := c.ipams[name]; ok {
		return ipam, nil
	}
	if !plugin.ValidName(name) {
		return nil, cnm.E("", cnm.NotFound, fmt.Errorf("address manager %q: not in this build, which has %q, nor the name of a plugin", name, c.BuiltinIPAMDrivers()))
	}
	return c.remoteIPAMOf(name), nil
}

// allocatePools fills the record's subnets.
func (c *controller) allocatePools(ctx context.Context, u *undo.Stack, rec *cnm.Network, driver cnm.Driver) error {
	if !rec.EnableIPv4 && len(rec.IPAM.IPv4) > 0 {
		return invalid("IPv4 subnet: IPv4 is not enabled on the network")
	}
	if !rec.EnableIPv6 && len(rec.IPAM.IPv6) > 0 {
		return invalid("IPv6 subnet: IPv6 is not enabled on the network; enable it, or leave the subnet away")
	}
	rec.IPAM.Driver = cmp.Or(rec.IPAM.Driver, ipamapi.DefaultIPAM)
	ipam, err := c.ipam(rec.IPAM.Driver)
	if err != nil {
		return err
	}
	if rec.IPAM.AddressSpace == "" {
		local, global, err := ipam.AddressSpaces(ctx)
		if err != nil {
			return err
		}
		rec.IPAM.AddressSpace = local
		if rec.Scope == cnm.Global {
			rec.IPAM.AddressSpace = global
		}
	}
	plan, err := planAddresses(ctx, driver, rec)
	if err != nil {
		return err
	}
	a := &allocator{c: c, name: rec.IPAM.Driver, ipam: ipam, undo: u, plan: plan}
	if rec.EnableIPv4 {
		if rec.Subnets4, err = a.subnets(ctx, rec, rec.IPAM.IPv4, false); err != nil {
			return err
		}
	}
	if rec.EnableIPv6 {
		rec.Subnets6, err = a.subnets(ctx, rec, rec.IPAM.IPv6, true)
	}
	return err
}

// subnets allocates one pool for each configuration; none means one of any kind.
func (a *allocator) subnets(ctx context.Context, rec *cnm.Network, confs []cnm.PoolConfig, ipv6 bool) ([]cnm.Subnet, error) {
	if len(confs) == 0 {
		confs = []cnm.PoolConfig{{}}
	}
	var subnets []cnm.Subnet
	for _, conf := range confs {
		subnet, err := a.subnet(ctx, rec, conf, ipv6)
		if err != nil {
			return nil, err
		}
		subnets = append(subnets, subnet)
	}
	return subnets, nil
}

func (a *allocator) subnet(ctx context.Context, rec *cnm.Network, conf cnm.PoolConfig, ipv6 bool) (cnm.Subnet, error) {
	request := cnm.PoolRequest{
		AddressSpace: rec.IPAM.AddressSpace, Pool: conf.Pool, SubPool: conf.SubPool, IPv6: ipv6,
		Holder: quote("network", rec.Name), Options: rec.IPAM.Options,
	}
	if !conf.Pool.IsValid() || conf.Pool.Addr().IsUnspecified() {
		avoid, err := a.hostPrefixes(ctx)
		if err != nil {
			return cnm.Subnet{}, err
		}
		request.Avoid = avoid
	}
	pool, err := a.ipam.RequestPool(ctx, request)
	if err != nil {
		return cnm.Subnet{}, err
	}
	grant := release{IPAM: a.name, Pool: pool.ID}
	if err := a.noteGrant(ctx, grant); err != nil {
		return cnm.Subnet{}, err
	}
	a.undo.Push("release pool", func(ctx context.Context) error { return a.c.giveBack(ctx, grant) })
	subnet := cnm.Subnet{Pool: pool, Aux: maps.Clone(conf.Aux)}
	if subnet.Gateway, err = a.gateway(ctx, rec, conf, pool); err != nil {
		return cnm.Subnet{}, err
	}
	if a.plan.Host {
		granted, err := a.address(ctx, cnm.AddressRequest{PoolID: pool.ID, Options: rec.IPAM.Options})
		if err != nil {
			return cnm.Subnet{}, fmt.Errorf("address of the host: %w", err)
		}
		subnet.Host = granted.Prefix
	}
	for _, name := range slices.Sorted(maps.Keys(conf.Aux)) {
		_, err := a.address(ctx, cnm.AddressRequest{PoolID: pool.ID, Address: conf.Aux[name], Options: rec.IPAM.Options})
		if err != nil {
			return cnm.Subnet{}, fmt.Errorf("auxiliary address %q: %w", name, err)
		}
	}
	return subnet, nil
}

// gateway takes the address that was asked for, or that came with the pool, or any.
func (a *allocator) gateway(ctx context.Context, rec *cnm.Network, conf cnm.PoolConfig, pool cnm.Pool) (netip.Prefix, error) {
	if text := pool.Meta[metaGateway]; text != "" && !conf.Gateway.IsValid() {
		gateway, err := netip.ParsePrefix(text)
		if err != nil {
			return netip.Prefix{}, cnm.E("", cnm.Internal, fmt.Errorf("pool %q: came with gateway %q: %w", pool.ID, text, err))
		}
		return gateway, nil
	}
	if none := pool.Prefix.Addr().Is4() && a.plan.NoGateway4 || pool.Prefix.Addr().Is6() && a.plan.NoGateway6; none && !conf.Gateway.IsValid() {
		return netip.Prefix{}, nil
	}
	granted, err := a.address(ctx, cnm.AddressRequest{
		PoolID: pool.ID, Address: conf.Gateway, Gateway: true, Options: rec.IPAM.Options,
	})
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("gateway: %w", err)
	}
	return granted.Prefix, nil
}

// metaGateway is where an address manager puts a gateway of its own choice.
const metaGateway = "com.docker.network.gateway"

// address requests one address and remembers to release it.
func (a *allocator) address(ctx context.Context, request cnm.AddressRequest) (cnm.Address, error) {
	granted, err := a.ipam.RequestAddress(ctx, request)
	if err != nil {
		return cnm.Address{}, err
	}
	if !granted.Prefix.IsValid() || granted.Prefix.Addr().IsUnspecified() {
		return granted, nil // none was granted
	}
	grant := release{a.name, request.PoolID, granted.Prefix.Addr()}
	if err := a.noteGrant(ctx, grant); err != nil {
		return cnm.Address{}, err
	}
	a.undo.Push("release address", func(ctx context.Context) error { return a.c.giveBack(ctx, grant) })
	return granted, nil
}

// hostPrefixes returns what the host has a route to, default routes aside.
func (a *allocator) hostPrefixes(ctx context.Context) ([]netip.Prefix, error) {
	if a.observed {
		return a.avoid, nil
	}
	avoid, err := a.c.host.Container().Prefixes(ctx, "")
	if err != nil {
		return nil, err
	}
	a.avoid, a.observed = avoid, true
	return a.avoid, nil
}

// endpointAddresses fills the addresses of an endpoint's record.
func (a *allocator) endpointAddresses(ctx context.Context, network *cnm.Network, spec *endpointSpec) error {
	rec := &spec.record
	var err error
	rec.IPv4, rec.Pool4, err = a.endpointAddress(ctx, network.Subnets4, spec.wantIPv4, network, rec)
	if err != nil {
		return err
	}
	rec.IPv6, rec.Pool6, err = a.endpointAddress(ctx, network.Subnets6, spec.wantIPv6, network, rec)
	return err
}

func (a *allocator) endpointAddress(ctx context.Context, subnets []cnm.Subnet, want netip.Addr, network *cnm.Network, rec *cnm.Endpoint) (netip.Prefix, string, error) {
	if want.IsValid() {
		in := slices.IndexFunc(subnets, func(s cnm.Subnet) bool { return s.Pool.Prefix.Contains(want) })
		if in < 0 {
			return netip.Prefix{}, "", invalid("IP address %q: is in no subnet of the network", want)
		}
		subnets = subnets[in : in+1]
	}
	serial := isTrue(network.IPAM.Options[optionSerial]) || isTrue(rec.IPAMOptions[optionSerial])
	var lastErr error
	for _, subnet := range subnets {
		granted, err := a.address(ctx, cnm.AddressRequest{
			PoolID: subnet.Pool.ID, Address: want, Serial: serial, MAC: rec.MAC, Options: rec.IPAMOptions,
		})
		if err == nil {
			return granted.Prefix, subnet.Pool.ID, nil
		}
		if lastErr = err; !errors.Is(err, cnm.Exhausted) {
			break
		}
	}
	return netip.Prefix{}, "", lastErr
}

func isTrue(text string) bool {
	value, err := strconv.ParseBool(text)
	return err == nil && value
}

// releaseEndpoint gives the addresses of a deleted endpoint back. It cannot fail
// the operation: the record has gone.
func (c *controller) releaseEndpoint(ctx context.Context, network *cnm.Network, rec *cnm.Endpoint) {
	for _, a := range []struct {
		pool   string
		prefix netip.Prefix
	}{{rec.Pool4, rec.IPv4}, {rec.Pool6, rec.IPv6}} {
		if !a.prefix.IsValid() || a.pool == "" { // the latter is an address that the driver chose
			continue
		}
		grant := release{network.IPAM.Driver, a.pool, a.prefix.Addr()}
		err := c.away(network)
		if err == nil {
			err = c.giveBack(ctx, grant)
		}
		if err != nil && !c.released(ctx, grant, err) {
			c.log.Error("release address", "endpoint", rec.Name, "address", a.prefix.Addr(), "error", err)
		}
	}
}

// releaseNetwork gives the pools of a deleted network back.
func (c *controller) releaseNetwork(ctx context.Context, rec *cnm.Network) {
	subnets := slices.Concat(rec.Subnets4, rec.Subnets6)
	if len(subnets) == 0 {
		return
	}
	for _, subnet := range subnets {
		var errs []error
		end := func(address netip.Addr) {
			grant := release{rec.IPAM.Driver, subnet.Pool.ID, address}
			if err := c.giveBack(ctx, grant); err != nil && !c.released(ctx, grant, err) {
				errs = append(errs, err)
			}
		}
		for _, address := range reserved(subnet) {
			if !address.IsUnspecified() { // which stands for no gateway
				end(address)
			}
		}
		end(netip.Addr{})
		if err := errors.Join(errs...); err != nil {
			c.log.Error("release pool", "network", rec.Name, "pool", subnet.Pool.ID, "error", err)
		}
	}
}

// reserved returns the addresses that the network itself holds.
func reserved(subnet cnm.Subnet) []netip.Addr {
	var out []netip.Addr
	if subnet.Gateway.IsValid() {
		out = append(out, subnet.Gateway.Addr())
	}
	if subnet.Host.IsValid() {
		out = append(out, subnet.Host.Addr())
	}
	for _, name := range slices.Sorted(maps.Keys(subnet.Aux)) {
		out = append(out, subnet.Aux[name])
	}
	return out
}

// prefixWith gives the address with the length of the pool.
func prefixWith(address netip.Addr, pool netip.Prefix) netip.Prefix {
	return netip.PrefixFrom(address, pool.Bits())
}
