package remote

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Bounds of what an answer may hold.
const (
	longestText  = 1024 // bytes, of an id or a name
	mostData     = 64
	longestDatum = 4096 // bytes, of a key or a value
)

// refuse is for answers that make no sense: the plugin has a defect, or means harm.
func refuse(format string, values ...any) error {
	return plugin.Unsettled(cnm.E("", cnm.Internal, fmt.Errorf("the plugin's answer: "+format, values...)))
}

// validText accepts names that can be written into a line.
func validText(text string) bool {
	return len(text) <= longestText && !strings.ContainsFunc(text, unicode.IsControl)
}

func checkData(data map[string]string) error {
	if len(data) > mostData {
		return refuse("there are %d data; want %d at most", len(data), mostData)
	}
	for key, value := range data {
		if len(key) > longestDatum || len(value) > longestDatum {
			return refuse("datum %.60q: is longer than %d bytes", key, longestDatum)
		}
	}
	return nil
}

// parsePool checks the grant of a pool.
func parsePool(reply protocol.RequestPoolReply, r cnm.PoolRequest) (cnm.Pool, error) {
	if reply.PoolID == "" || !validText(reply.PoolID) {
		return cnm.Pool{}, refuse("pool %.60q: is no id", reply.PoolID)
	}
	prefix, err := netip.ParsePrefix(reply.Pool)
	if err != nil || prefix.Addr().Is4In6() {
		return cnm.Pool{}, refuse("subnet %.60q: want one in CIDR form, as 192.0.2.0/24", reply.Pool)
	}
	prefix = prefix.Masked()
	switch asked := r.Pool; {
	case prefix.Addr().Is6() != wantsIPv6(r):
		return cnm.Pool{}, refuse("subnet %q: is of the other version of IP", prefix)
	case prefix.Addr().IsLoopback() || prefix.Addr().IsMulticast():
		return cnm.Pool{}, refuse("subnet %q: no network can have it", prefix)
	case !automatic(asked) && prefix != asked.Masked():
		return cnm.Pool{}, refuse("subnet %q: another was asked for, %q", prefix, asked.Masked())
	case asked.IsValid() && prefix.Bits() != asked.Bits():
		return cnm.Pool{}, refuse("subnet %q: the length asked for is %d", prefix, asked.Bits())
	}
	if err := checkData(reply.Data); err != nil {
		return cnm.Pool{}, err
	}
	pool := cnm.Pool{ID: reply.PoolID, Prefix: prefix, Meta: reply.Data}
	return pool, normaliseGateway(pool)
}

// normaliseGateway checks the gateway that came with a pool. Its length is that of the
// pool if it has none.
func normaliseGateway(pool cnm.Pool) error {
	given := pool.Meta[protocol.GatewayAddress]
	if given == "" {
		return nil
	}
	gateway, err := netip.ParsePrefix(given)
	if err != nil {
		var address netip.Addr
		if address, err = netip.ParseAddr(given); err == nil {
			gateway = netip.PrefixFrom(address.Unmap().WithZone(""), pool.Prefix.Bits())
		}
	}
	if none := err == nil && gateway.Addr().IsUnspecified() && gateway.Addr().Is4() == pool.Prefix.Addr().Is4(); none {
		// The plugin says that no gateway is to be asked for; its network driver knows.
		pool.Meta[protocol.GatewayAddress] = netip.PrefixFrom(gateway.Addr(), 0).String()
		return nil
	}
	if err != nil || !pool.Prefix.Contains(gateway.Addr()) || gateway.Bits() < pool.Prefix.Bits() {
		return refuse("gateway %.60q: is no address in the subnet %q", given, pool.Prefix)
	}
	pool.Meta[protocol.GatewayAddress] = gateway.String()
	return nil
}

// parseAddress checks the grant of an address from a pool, which is not valid if it is not known.
func parseAddress(reply protocol.RequestAddressReply, r cnm.AddressRequest, pool netip.Prefix) (cnm.Address, error) {
	if err := checkData(reply.Data); err != nil {
		return cnm.Address{}, err
	}
	if reply.Address == "" {
		if !r.Address.IsValid() && (!pool.IsValid() || pool.Bits() == 0) {
			return cnm.Address{Meta: reply.Data}, nil
		}
		return cnm.Address{}, refuse("there is no address")
	}
	prefix, err := netip.ParsePrefix(reply.Address)
	if err != nil || prefix.Addr().Is4In6() {
		return cnm.Address{}, refuse("address %.60q: want one in CIDR form, as 192.0.2.7/24", reply.Address)
	}
	own := prefix.Addr()
	switch {
	case own.IsUnspecified() || own.IsLoopback() || own.IsMulticast() || prefix.Bits() == 0:
		return cnm.Address{}, refuse("address %q: no single host can have it", prefix)
	case r.Address.IsValid() && own != r.Address.Unmap():
		return cnm.Address{}, refuse("address %q: another was asked for, %q", prefix, r.Address)
	case pool.IsValid() && (!pool.Contains(own) || prefix.Bits() < pool.Bits()):
		return cnm.Address{}, refuse("address %q: is not in the subnet %q", prefix, pool)
	}
	return cnm.Address{Prefix: prefix, Meta: reply.Data}, nil
}
