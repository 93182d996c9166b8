package remote

import (
	"encoding/json"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Whatever a plugin grants: what is taken is a subnet with its gateway in it, or an address
// of the pool.
func FuzzGrants(f *testing.F) {
	for _, seed := range []string{
		`{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"10.1.0.1/16"}}`, `{"PoolID":"p","Pool":"::/0"}`,
		`{"Address":"10.1.0.7/16"}`, `{"Address":"fe80::1%x/64","Data":{"a":"b"}}`, `{}`, `{"PoolID":"p","Pool":"0.0.0.0/0","Data":{"com.docker.network.gateway":"::1%x"}}`,
	} {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	known := netip.MustParsePrefix("10.1.0.0/16")
	f.Fuzz(func(t *testing.T, answer []byte, ipv6 bool) {
		var reply protocol.RequestPoolReply
		if json.Unmarshal(answer, &reply) == nil {
			pool, err := parsePool(reply, cnm.PoolRequest{IPv6: ipv6})
			if err == nil && (pool.ID == "" || pool.Prefix != pool.Prefix.Masked() || pool.Prefix.Addr().Is6() != ipv6) {
				t.Errorf("pool %+v", pool)
			}
			if gateway, ok := pool.Meta[protocol.GatewayAddress]; err == nil && ok && gateway != "" {
				if parsed, err := netip.ParsePrefix(gateway); err != nil || !pool.Prefix.Contains(parsed.Addr()) && !parsed.Addr().IsUnspecified() {
					t.Errorf("gateway %q of pool %q", gateway, pool.Prefix)
				}
			}
		}
		var address protocol.RequestAddressReply
		if json.Unmarshal(answer, &address) == nil {
			if granted, err := parseAddress(address, cnm.AddressRequest{}, known); err == nil && !known.Contains(granted.Prefix.Addr()) {
				t.Errorf("address %+v", granted)
			}
		}
	})
}
