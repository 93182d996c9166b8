package driverapi

import (
	"encoding/json"
	"fmt"
	"net"

	"github.com/docker/libnetwork/types"
)

// IPAMData is a pool that a network got, with its gateway.
type IPAMData struct {
	AddressSpace string
	// Pool is the subnet.
	Pool *net.IPNet
	// Gateway is the gateway's address with the subnet's mask; nil if there is none.
	Gateway *net.IPNet
	// AuxAddresses are kept away from endpoints, by the name the user gave.
	AuxAddresses map[string]*net.IPNet
}

// ipamDataJSON is IPAMData on the wire: addresses are text in CIDR form.
type ipamDataJSON struct {
	AddressSpace string
	Pool         string            `json:",omitempty"`
	Gateway      string            `json:",omitempty"`
	AuxAddresses map[string]string `json:",omitempty"`
}

// MarshalJSON implements json.Marshaler: addresses are text in CIDR form, absent
// ones are left out. One that is not valid is a types.BadRequestError.
func (i *IPAMData) MarshalJSON() ([]byte, error) {
	out := ipamDataJSON{AddressSpace: i.AddressSpace}
	var err error
	if out.Pool, err = formatCIDR("pool", i.Pool); err != nil {
		return nil, err
	}
	if out.Gateway, err = formatCIDR("gateway", i.Gateway); err != nil {
		return nil, err
	}
	for name, address := range i.AuxAddresses {
		if out.AuxAddresses == nil {
			out.AuxAddresses = make(map[string]string, len(i.AuxAddresses))
		}
		if out.AuxAddresses[name], err = formatCIDR("auxiliary address "+name, address); err != nil {
			return nil, err
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON implements json.Unmarshaler; empty text means absent. On an error,
// which for bad addresses is a types.BadRequestError, i stays as it was.
func (i *IPAMData) UnmarshalJSON(data []byte) error {
	var in ipamDataJSON
	if err := json.Unmarshal(data, &in); err != nil {
		return err
	}
	out := IPAMData{AddressSpace: in.AddressSpace}
	var err error
	if out.Pool, err = parseCIDR("pool", in.Pool); err != nil {
		return err
	}
	if out.Gateway, err = parseCIDR("gateway", in.Gateway); err != nil {
		return err
	}
	for name, text := range in.AuxAddresses {
		if out.AuxAddresses == nil {
			out.AuxAddresses = make(map[string]*net.IPNet, len(in.AuxAddresses))
		}
		if out.AuxAddresses[name], err = parseCIDR("auxiliary address "+name, text); err != nil {
			return err
		}
	}
	*i = out
	return nil
}

// Validate returns a types.BadRequestError unless there is a pool, and gateway and
// auxiliary addresses, if any, are in it.
func (i *IPAMData) Validate() error {
	if i == nil || i.Pool == nil {
		return types.BadRequestErrorf("address data: has no pool")
	}
	if !types.IsIPNetValid(i.Pool) {
		return types.BadRequestErrorf("address data: pool %q: is not a subnet", i.Pool)
	}
	if i.Gateway != nil && !i.contains(i.Gateway) {
		return types.BadRequestErrorf("address data: gateway %q: is not in the pool %q", i.Gateway, i.Pool)
	}
	for name, address := range i.AuxAddresses {
		if address == nil || !i.contains(address) {
			return types.BadRequestErrorf("address data: auxiliary address %q: %q is not in the pool %q", name, address, i.Pool)
		}
	}
	return nil
}

func (i *IPAMData) contains(address *net.IPNet) bool {
	return types.IsIPNetValid(address) && i.Pool.Contains(address.IP)
}

// IsV6 reports whether the pool is of IPv6.
func (i *IPAMData) IsV6() bool {
	return i != nil && i.Pool != nil && i.Pool.IP.To4() == nil && i.Pool.IP.To16() != nil
}

// String returns all of it on one line; absent addresses are "<nil>".
func (i *IPAMData) String() string {
	if i == nil {
		return "<nil>"
	}
	return fmt.Sprintf("space %q, pool %s, gateway %s, auxiliary %v", i.AddressSpace, i.Pool, i.Gateway, i.AuxAddresses)
}

func formatCIDR(what string, address *net.IPNet) (string, error) {
	if address == nil {
		return "", nil
	}
	if !types.IsIPNetValid(address) {
		return "", types.BadRequestErrorf("%s %q: address and mask do not fit", what, address)
	}
	return address.String(), nil
}

func parseCIDR(what, text string) (*net.IPNet, error) {
	if text == "" {
		return nil, nil
	}
	address, err := types.ParseCIDR(text)
	if err != nil {
		return nil, types.BadRequestErrorf("%s: %w", what, err)
	}
	return address, nil
}
