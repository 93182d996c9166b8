package config_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/types"
)

type watcher struct{ config.Watcher }

type getter struct{ config.PluginGetter }

func TestOptions(t *testing.T) {
	global := func(c *config.Config) any { return c.Scopes[datastore.GlobalScope].Client }
	local := func(c *config.Config) any { return c.Scopes[datastore.LocalScope].Client }
	tests := []struct {
		name   string
		option config.Option
		field  func(*config.Config) any
		want   any
	}{
		{"default network", config.OptionDefaultNetwork(" web "), func(c *config.Config) any { return c.Daemon.DefaultNetwork }, "web"},
		{"default driver", config.OptionDefaultDriver("\tbridge\n"), func(c *config.Config) any { return c.Daemon.DefaultDriver }, "bridge"},
		{"data dir", config.OptionDataDir("/srv"), func(c *config.Config) any { return c.Daemon.DataDir }, "/srv"},
		{"no data dir", config.OptionDataDir(""), func(c *config.Config) any { return c.Daemon.DataDir }, "/var/lib/libnetwork"},
		{"exec root", config.OptionExecRoot("/run/x"), func(c *config.Config) any { return c.Daemon.ExecRoot }, "/run/x"},
		{"no exec root", config.OptionExecRoot(""), func(c *config.Config) any { return c.Daemon.ExecRoot }, "/run/libnetwork"},
		{"host namespace", config.OptionHostNamespace("/run/netns/h"), func(c *config.Config) any { return c.Daemon.HostNamespace }, "/run/netns/h"},
		{"experimental", config.OptionExperimental(true), func(c *config.Config) any { return c.Daemon.Experimental }, true},
		{
			"driver config", config.OptionDriverConfig(" bridge ", map[string]interface{}{netlabel.GenericData: 1}),
			func(c *config.Config) any { return c.Daemon.DriverCfg },
			map[string]interface{}{"bridge": map[string]interface{}{netlabel.GenericData: 1}},
		},
		{
			"labels", config.OptionLabels([]string{netlabel.Prefix + ".a=b", "other=c"}),
			func(c *config.Config) any { return c.Daemon.Labels },
			[]string{netlabel.Prefix + ".a=b"},
		},
		{
			"address pools", config.OptionDefaultAddressPools([]config.AddressPool{{Base: "10.0.0.0/8", Size: 24}}),
			func(c *config.Config) any { return c.Daemon.DefaultAddressPools },
			[]config.AddressPool{{Base: "10.0.0.0/8", Size: 24}},
		},
		{
			"never use", config.OptionNeverUse("10.0.0.0/8", "fd00::/8"),
			func(c *config.Config) any { return c.Daemon.NeverUse },
			[]string{"10.0.0.0/8", "fd00::/8"},
		},
		{
			"announce", config.OptionAnnounce(1, 200*time.Millisecond),
			func(c *config.Config) any { return c.Daemon.Announce },
			config.AnnounceCfg{Count: 1, Interval: 200 * time.Millisecond},
		},
		{"discovery address", config.OptionDiscoveryAddress(" h:1 "), func(c *config.Config) any { return c.Cluster.Address }, "h:1"},
		{"discovery watcher", config.OptionDiscoveryWatcher(watcher{}), func(c *config.Config) any { return c.Cluster.Watcher }, watcher{}},
		{"plugin getter", config.OptionPluginGetter(getter{}), func(c *config.Config) any { return c.PluginGetter }, getter{}},
		{
			"active sandboxes", config.OptionActiveSandboxes(map[string]interface{}{"s": nil}),
			func(c *config.Config) any { return c.ActiveSandboxes },
			map[string]interface{}{"s": nil},
		},
		{"provider", config.OptionKVProvider(" etcd "), global, datastore.ScopeClientCfg{Provider: "etcd"}},
		{"provider address", config.OptionKVProviderURL(" h:2379 "), global, datastore.ScopeClientCfg{Address: "h:2379"}},
		{"local provider", config.OptionLocalKVProvider(" boltdb "), local, datastore.ScopeClientCfg{Provider: "boltdb"}},
		{"local address", config.OptionLocalKVProviderURL(" /x.db "), local, datastore.ScopeClientCfg{Address: "/x.db"}},
		{
			"local config", config.OptionLocalKVProviderConfig(&datastore.StoreConfig{Bucket: "b"}), local,
			datastore.ScopeClientCfg{Config: &datastore.StoreConfig{Bucket: "b"}},
		},
		{"in memory", config.OptionInMemoryStore(), local, datastore.ScopeClientCfg{Provider: "memory"}},
		{"empty provider", config.OptionKVProvider(" "), func(c *config.Config) any { return len(c.Scopes) }, 0},
		{"empty address", config.OptionLocalKVProviderURL(""), func(c *config.Config) any { return len(c.Scopes) }, 0},
		{
			"ignored store options", config.OptionKVOpts(map[string]string{"discovery.ttl": "60", "kv.path": "p"}),
			func(c *config.Config) any { return len(c.Scopes) }, 0,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var cfg config.Config // options must cope with the zero value
			cfg.ProcessOptions(nil, test.option)
			if got := test.field(&cfg); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got %#v, want %#v", got, test.want)
			}
		})
	}
}

func TestDefaults(t *testing.T) {
	want := &config.Config{
		Daemon: config.DaemonCfg{
			DataDir:   "/var/lib/libnetwork",
			ExecRoot:  "/run/libnetwork",
			DriverCfg: map[string]interface{}{},
			Announce:  config.AnnounceCfg{Count: 3, Interval: time.Second},
		},
		Scopes: datastore.DefaultScopes("/var/lib/libnetwork"),
	}
	got := config.ParseConfigOptions()
	if diff := cmp.Diff(want, got, ignoreUnexported); diff != "" {
		t.Error(diff)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
	if err := new(config.Config).Validate(); err != nil {
		t.Error("zero value:", err)
	}
}

func TestLoadDefaultScopes(t *testing.T) {
	standard := datastore.DefaultScopes("/d")[datastore.LocalScope].Client
	tests := []struct {
		name    string
		options []config.Option
		want    datastore.ScopeClientCfg
	}{
		{"none", nil, standard},
		{
			"address alone", []config.Option{config.OptionLocalKVProviderURL("/x.db")},
			datastore.ScopeClientCfg{Provider: "boltdb", Address: "/x.db", Config: standard.Config},
		},
		{"provider alone", []config.Option{config.OptionLocalKVProvider("boltdb")}, standard},
		{"in memory", []config.Option{config.OptionInMemoryStore()}, datastore.ScopeClientCfg{Provider: "memory"}},
		{
			"in memory after another", []config.Option{config.OptionLocalKVProviderURL("/x.db"), config.OptionInMemoryStore()},
			datastore.ScopeClientCfg{Provider: "memory"},
		},
		{
			"another provider", []config.Option{config.OptionLocalKVProvider("etcd"), config.OptionLocalKVProviderURL("h:1")},
			datastore.ScopeClientCfg{Provider: "etcd", Address: "h:1"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := config.ParseConfigOptions(append(test.options, config.OptionDataDir("/d"))...)
			if diff := cmp.Diff(test.want, cfg.Scopes[datastore.LocalScope].Client); diff != "" {
				t.Error(diff)
			}
			if err := cfg.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestValidateRefuses(t *testing.T) {
	pools := func(base string, size int) config.Option {
		return config.OptionDefaultAddressPools([]config.AddressPool{{Base: base, Size: size}})
	}
	tests := []struct {
		name   string
		option config.Option
		want   string
	}{
		{"relative data dir", config.OptionDataDir("srv"), `data dir "srv": not an absolute path`},
		{"exec root of two lines", config.OptionExecRoot("/a\nb"), `exec root "/a\nb": holds control characters`},
		{"relative namespace", config.OptionHostNamespace("h"), `host namespace "h": not an absolute path`},
		{"network", config.OptionDefaultNetwork("a\nb"), `default network "a\nb": must not be blank or hold control characters`},
		{"driver", config.OptionDefaultDriver("a\x00b"), `default driver "a\x00b": must not be blank or hold control characters`},
		{"driver config", config.OptionDriverConfig(" ", nil), `driver options: network type "" is not a name`},
		{"pool not CIDR", pools("10.0.0.0", 24), `address pool "10.0.0.0": not in CIDR form`},
		{"pool with host bits", pools("10.0.0.1/8", 24), `did you mean "10.0.0.0/8"?`},
		{"pool 4 in 6", pools("::ffff:10.0.0.0/104", 112), `is IPv4 in IPv6 form`},
		{"pool size too small", pools("10.0.0.0/8", 7), `size 7 is not from 8 to 32`},
		{"pool size too large", pools("fd00::/8", 129), `size 129 is not from 8 to 128`},
		{"firewall", config.OptionFirewallBackend("pf"), `firewall back end "pf": want "nftables", "iptables", "iptables-nft", "iptables-legacy", "none"`},
		{"mark", config.OptionAcceptMark("0x10/0xf"), `accept mark "0x10/0xf": want`},
		{"mark without end", config.OptionAcceptMark("1/"), `accept mark "1/": want`},
		{"mark of nothing", config.OptionAcceptMark("0/0"), `accept mark "0/0": want`},
		{"never use", config.OptionNeverUse("10.0.0.0/8", "x"), `never use "x": not in CIDR form`},
		{"announce negative", config.OptionAnnounce(-1, time.Second), `announce: count -1 is not from 0 to 3`},
		{"announce too often", config.OptionAnnounce(4, time.Second), `announce: count 4 is not from 0 to 3`},
		{"announce too fast", config.OptionAnnounce(1, 99*time.Millisecond), `announce: interval 99ms is not from 100ms to 2s`},
		{"announce too slow", config.OptionAnnounce(1, 3*time.Second), `announce: interval 3s is not from 100ms to 2s`},
		{"provider alone", config.OptionKVProvider("etcd"), `store of scope "global": provider "etcd" has no address`},
		{"address alone", config.OptionKVProviderURL("h:1"), `store of scope "global": has no provider`},
		{"store option", config.OptionKVOpts(map[string]string{"kv.cafile": "x"}), `store options: key "kv.cafile": unknown`},
		{"half of TLS", config.OptionKVOpts(map[string]string{"kv.keyfile": "x"}), `store options: key "kv.cacertfile": missing`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			cfg := config.ParseConfigOptions(test.option)
			err := cfg.Validate()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got  %v\nwant %s", err, test.want)
			}
			if _, ok := err.(types.BadRequestError); !ok || !errors.Is(err, cnm.Invalid) {
				t.Errorf("%T is not a bad request", err)
			}
			if again := cfg.Validate(); again == nil || again.Error() != err.Error() {
				t.Errorf("second time: got %v", again)
			}
		})
	}
}

func TestValidateAccepts(t *testing.T) {
	for name, option := range map[string]config.Option{
		"no announcement":  config.OptionAnnounce(0, 0),
		"announce bounds":  config.OptionAnnounce(3, 100*time.Millisecond),
		"announce bounds2": config.OptionAnnounce(1, 2*time.Second),
		"pool of one":      config.OptionDefaultAddressPools([]config.AddressPool{{Base: "10.0.0.0/24", Size: 24}}),
		"host pool":        config.OptionDefaultAddressPools([]config.AddressPool{{Base: "10.0.0.0/24", Size: 32}}),
		"all addresses":    config.OptionNeverUse("0.0.0.0/0", "::/0"),
	} {
		if err := config.ParseConfigOptions(option).Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	build := func() *config.Config {
		return config.ParseConfigOptions(
			config.OptionLabels([]string{netlabel.Prefix + ".a=b"}),
			config.OptionDriverConfig("bridge", map[string]interface{}{"a": 1}),
			config.OptionDefaultAddressPools([]config.AddressPool{{Base: "10.0.0.0/8", Size: 24}}),
			config.OptionNeverUse("10.0.0.0/8"),
			config.OptionActiveSandboxes(map[string]interface{}{"s": 1}),
		)
	}
	original := build()
	clone := original.Clone()
	if diff := cmp.Diff(original, clone, ignoreUnexported); diff != "" {
		t.Fatal(diff)
	}
	clone.Daemon.Labels[0] = "x"
	clone.Daemon.DriverCfg["x"] = 1
	clone.Daemon.DefaultAddressPools[0].Size = 1
	clone.Daemon.NeverUse[0] = "x"
	clone.ActiveSandboxes["x"] = 1
	clone.Scopes[datastore.LocalScope].Client.Config.Bucket = "x"
	delete(clone.Scopes, datastore.LocalScope)
	if diff := cmp.Diff(build(), original, ignoreUnexported); diff != "" {
		t.Error("the original changed:", diff)
	}
	if (*config.Config)(nil).Clone() != nil {
		t.Error("clone of nil is not nil")
	}
}

func TestOptionsTakeCopies(t *testing.T) {
	labels := []string{netlabel.Prefix + ".a=b"}
	prefixes := []string{"10.0.0.0/8"}
	options := []config.Option{config.OptionLabels(labels), config.OptionNeverUse(prefixes...)}
	labels[0], prefixes[0] = "x", "x"
	got := config.ParseConfigOptions(options...)
	if !slices.Equal(got.Daemon.Labels, []string{netlabel.Prefix + ".a=b"}) || !slices.Equal(got.Daemon.NeverUse, []string{"10.0.0.0/8"}) {
		t.Errorf("got %q and %q", got.Daemon.Labels, got.Daemon.NeverUse)
	}
}

func TestIsValidName(t *testing.T) {
	for name, want := range map[string]bool{
		"web": true, " web ": true, "a.b_c-d": true, "a/b": true, "wéb": true, "a b": true,
		"": false, " ": false, "\t\n": false, "a\nb": false, "a\x00": false, "a\x7f": false, "a\u0085": false,
	} {
		if got := config.IsValidName(name); got != want {
			t.Errorf("IsValidName(%q) = %t, want %t", name, got, want)
		}
	}
}

func TestEntryString(t *testing.T) {
	for want, entry := range map[string]config.Entry{
		"192.0.2.1:80":      {Host: "192.0.2.1", Port: "80"},
		"[2001:db8::1]:443": {Host: "2001:db8::1", Port: "443"},
	} {
		if got := entry.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestParseMark(t *testing.T) {
	for text, want := range map[string][2]uint32{
		"": {0, 0}, "1": {1, 0xffffffff}, "0x1/0xff": {1, 0xff}, "0/1": {0, 1}, "4294967295": {0xffffffff, 0xffffffff},
	} {
		mark, mask, err := config.ParseMark(text)
		if got := [2]uint32{mark, mask}; err != nil || got != want {
			t.Errorf("%q: %#x, error %v, want %#x", text, got, err, want)
		}
	}
}
