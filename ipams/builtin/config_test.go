package builtin

import (
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

func TestNewRefuses(t *testing.T) {
	local := func(base string, size int) Config {
		return Config{LocalPools: []PoolBase{{prefix(base), size}}}
	}
	const op = "create address manager: "
	for _, test := range []struct {
		name   string
		config Config
		want   string
	}{
		{"no base", local("", 24), op + `default address pool "invalid Prefix": names no addresses; choose a prefix as 10.128.0.0/9`},
		{"unspecified", local("0.0.0.0/8", 24), op + `default address pool "0.0.0.0/8": names no addresses; choose a prefix as 10.128.0.0/9`},
		{"no length", local("10.0.0.0/0", 24), op + `default address pool "10.0.0.0/0": its length is not from 1 to 32; choose another, or none`},
		{"host bits", local("10.0.0.1/8", 24), op + `default address pool "10.0.0.1/8": has bits set beyond its length; did you mean "10.0.0.0/8"?`},
		{"mapped", local("::ffff:10.0.0.0/104", 120), op + `default address pool "::ffff:10.0.0.0/104": is IPv4 written as IPv6; write it as IPv4`},
		{"size too small", local("10.0.0.0/8", 7), op + `default address pool "10.0.0.0/8": cannot be cut into pools of size 7; choose a size from 8 to 32`},
		{"size too large", local("fd00::/8", 129), op + `default address pool "fd00::/8": cannot be cut into pools of size 129; choose a size from 8 to 128`},
		{"global", Config{GlobalPools: []PoolBase{{prefix("10.0.0.0/8"), 33}}},
			op + `default address pool "10.0.0.0/8": cannot be cut into pools of size 33; choose a size from 8 to 32`},
		{"never use", Config{NeverUse: []netip.Prefix{{}}}, op + `prefix "invalid Prefix": cannot be left out, it is not a prefix`},
		{"ULA of IPv4", Config{ULA: prefix("10.0.0.0/8")},
			op + `unique local prefix "10.0.0.0/8": has no IPv6 subnets of /64; choose one as fd12:3456:789a::/48`},
		{"ULA too long", Config{ULA: prefix("fd00::/65")},
			op + `unique local prefix "fd00::/65": has no IPv6 subnets of /64; choose one as fd12:3456:789a::/48`},
		{"ULA with host bits", Config{ULA: prefix("fd00::1/48")},
			op + `unique local prefix "fd00::1/48": has bits set beyond its length; did you mean "fd00::/48"?`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := New(test.config)
			wantError(t, err, cnm.Invalid, test.want)
		})
	}
}

func TestNewKeepsNothingOfTheConfig(t *testing.T) {
	config := Config{LocalPools: []PoolBase{{prefix("10.1.0.0/16"), 24}}, NeverUse: []netip.Prefix{prefix("10.1.0.0/24")}}
	m := newIPAM(t, config)
	config.LocalPools[0].Base = prefix("10.2.0.0/16")
	config.NeverUse[0] = prefix("10.3.0.0/24")
	if got := requestPool(t, m, cnm.PoolRequest{}).Prefix; got != prefix("10.1.1.0/24") {
		t.Errorf("pool is %v", got)
	}
}

func TestULAFor(t *testing.T) {
	// The prefix is in the records of installations: it must never change.
	if got := ULAFor("one"); got != prefix("fda5:400e:b276::/48") {
		t.Errorf("prefix is %v", got)
	}
	seen := make(map[netip.Prefix]string)
	for _, id := range []string{"", "one", "two", "0123456789abcdef"} {
		got := ULAFor(id)
		if got != got.Masked() || got.Bits() != 48 || !prefix("fd00::/8").Contains(got.Addr()) {
			t.Errorf("%q has %v, which is no unique local /48", id, got)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%q and %q both have %v", id, other, got)
		}
		seen[got] = id
		if _, err := New(Config{ULA: got}); err != nil {
			t.Error(err)
		}
	}
}
