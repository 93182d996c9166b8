package libnetwork

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/driverapi"
	"github.com/docker/libnetwork/types"
)

// IpamConf asks for one pool of a network. Empty fields leave the choice to the
// address manager.
type IpamConf struct {
	// PreferredPool is the subnet in CIDR form.
	PreferredPool string
	// SubPool, in CIDR form, limits automatic addresses to a part of the pool.
	SubPool string
	// Gateway is the gateway's address.
	Gateway string
	// AuxAddresses are kept away from endpoints, by a name of the caller's.
	AuxAddresses map[string]string
}

// Validate returns a types.BadRequestError if an address does not parse, or is not
// in the pool.
func (c *IpamConf) Validate() error {
	_, err := c.parse()
	return published(err)
}

// CopyTo makes dstC a copy of c.
func (c *IpamConf) CopyTo(dstC *IpamConf) error {
	*dstC = *c
	dstC.AuxAddresses = maps.Clone(c.AuxAddresses)
	return nil
}

// parse turns the text into a cnm.PoolConfig.
func (c *IpamConf) parse() (cnm.PoolConfig, error) {
	var out cnm.PoolConfig
	var err error
	if out.Pool, err = parsePrefix("subnet", c.PreferredPool); err != nil {
		return out, err
	}
	if out.SubPool, err = parsePrefix("address range", c.SubPool); err != nil {
		return out, err
	}
	if out.SubPool.IsValid() && !contains(out.Pool, out.SubPool.Addr(), out.SubPool.Bits()) {
		return out, invalid("address range %q: is not within the subnet %q", c.SubPool, c.PreferredPool)
	}
	if out.Gateway, err = parseAddr("gateway", c.Gateway, out.Pool); err != nil {
		return out, err
	}
	for name, text := range c.AuxAddresses {
		address, err := parseAddr(fmt.Sprintf("auxiliary address %q", name), text, out.Pool)
		if err != nil {
			return out, err
		}
		if !address.IsValid() {
			return out, invalid("auxiliary address %q: is empty", name)
		}
		if out.Aux == nil {
			out.Aux = make(map[string]netip.Addr)
		}
		out.Aux[name] = address
	}
	return out, nil
}

func parsePrefix(what, text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, invalid("%s %q: not in CIDR form, as 192.0.2.0/24", what, text)
	}
	if masked := p.Masked(); masked != p {
		return netip.Prefix{}, invalid("%s %q: has bits set beyond its length; did you mean %q?", what, text, masked)
	}
	return p, nil
}

// parseAddr takes 192.0.2.1 and, as callers of 2017 also write, 192.0.2.1/24.
func parseAddr(what, text string, pool netip.Prefix) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		p, prefixErr := netip.ParsePrefix(text)
		if prefixErr != nil {
			return netip.Addr{}, invalid("%s %q: not an IP address", what, text)
		}
		address = p.Addr()
	}
	address = address.Unmap()
	if pool.IsValid() && !pool.Addr().IsUnspecified() && !pool.Contains(address) {
		return netip.Addr{}, invalid("%s %q: is not in the subnet %q", what, text, pool)
	}
	if !pool.IsValid() || pool.Addr().IsUnspecified() {
		return netip.Addr{}, invalid("%s %q: needs a subnet to be in", what, text)
	}
	return address, nil
}

func contains(outer netip.Prefix, addr netip.Addr, bits int) bool {
	return outer.IsValid() && outer.Contains(addr) && bits >= outer.Bits()
}

func invalid(format string, args ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, args...))
}

// IpamInfo is a pool that an address manager granted to a network.
type IpamInfo struct {
	// PoolID is the address manager's name for the pool.
	PoolID string
	// Meta is what the address manager added.
	Meta map[string]string
	driverapi.IPAMData
}

// ipamInfoJSON nests the data as text, as stored by the first releases.
type ipamInfoJSON struct {
	PoolID   string
	Meta     string
	IPAMData string
}

// MarshalJSON implements json.Marshaler.
func (i *IpamInfo) MarshalJSON() ([]byte, error) {
	data, err := json.Marshal(&i.IPAMData)
	if err != nil {
		return nil, err
	}
	out := ipamInfoJSON{PoolID: i.PoolID, IPAMData: string(data)}
	if i.Meta != nil {
		meta, err := json.Marshal(i.Meta)
		if err != nil {
			return nil, err
		}
		out.Meta = string(meta)
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler.
func (i *IpamInfo) UnmarshalJSON(data []byte) error {
	var in ipamInfoJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	out := IpamInfo{PoolID: in.PoolID}
	if in.Meta != "" {
		if err := json.Unmarshal([]byte(in.Meta), &out.Meta); err != nil {
			return err
		}
	}
	if in.IPAMData != "" {
		if err := json.Unmarshal([]byte(in.IPAMData), &out.IPAMData); err != nil {
			return err
		}
	}
	*i = out
	return nil
}

// CopyTo makes dstI a copy of i.
func (i *IpamInfo) CopyTo(dstI *IpamInfo) error {
	*dstI = *i
	dstI.Meta = maps.Clone(i.Meta)
	dstI.Pool = types.GetIPNetCopy(i.Pool)
	dstI.Gateway = types.GetIPNetCopy(i.Gateway)
	dstI.AuxAddresses = maps.Clone(i.AuxAddresses)
	for name, address := range dstI.AuxAddresses {
		dstI.AuxAddresses[name] = types.GetIPNetCopy(address)
	}
	return nil
}
