package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/types"
)

var ignoreUnexported = cmpopts.IgnoreUnexported(config.Config{})

func TestParseConfigFull(t *testing.T) {
	want := &config.Config{
		Daemon: config.DaemonCfg{
			Debug:          true,
			Experimental:   true,
			DataDir:        "/srv/net",
			ExecRoot:       "/run/net",
			HostNamespace:  "/run/netns/host",
			DefaultNetwork: "bridge",
			DefaultDriver:  "bridge",
			Labels:         []string{"com.docker.network.driver.overlay.bind_interface=eth0"},
			DriverCfg:      map[string]interface{}{},
			DefaultAddressPools: []config.AddressPool{
				{Base: "10.64.0.0/10", Size: 24},
				{Base: "fd00:2::/48", Size: 64},
			},
			NeverUse:        []string{"10.1.0.0/16", "fd00:1::/48"},
			FirewallBackend: config.FirewallIPTables, AcceptMark: "0x1/0xff",
			Announce: config.AnnounceCfg{Count: 2, Interval: 500 * time.Millisecond},
		},
		Cluster: config.ClusterCfg{
			Discovery: "consul://192.0.2.1:8500/nodes",
			Address:   "192.0.2.2:2376",
			Heartbeat: 20,
		},
		Scopes: map[string]*datastore.ScopeCfg{
			datastore.GlobalScope: {Client: datastore.ScopeClientCfg{Provider: "consul", Address: "192.0.2.1:8500"}},
			datastore.LocalScope: {Client: datastore.ScopeClientCfg{
				Provider: "boltdb",
				Address:  "/srv/net/local.db",
				Config:   datastore.DefaultScopes("")[datastore.LocalScope].Client.Config,
			}},
		},
		Orchestration: config.OrchestrationCfg{Agent: true, Manager: true, Bind: "eth0", Peer: "192.0.2.3"},
	}
	got, err := config.ParseConfig(filepath.Join("testdata", "full.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, ignoreUnexported); diff != "" {
		t.Error(diff)
	}
}

func TestParseConfigOlder(t *testing.T) {
	got, err := config.ParseConfig(filepath.Join("testdata", "older.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want := datastore.ScopeClientCfg{Provider: "etcd", Address: "192.0.2.1:2379"}
	if diff := cmp.Diff(want, got.Scopes[datastore.GlobalScope].Client); diff != "" {
		t.Error(diff)
	}
	cluster := config.ClusterCfg{Discovery: "etcd://192.0.2.1:2379/nodes", Address: "192.0.2.2:2376", Heartbeat: 10}
	if diff := cmp.Diff(cluster, got.Cluster); diff != "" {
		t.Error(diff)
	}
}

func TestParseConfigEmptyIsDefault(t *testing.T) {
	got, err := config.ParseConfig(filepath.Join("testdata", "empty.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(config.ParseConfigOptions(), got, ignoreUnexported, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

func TestParseConfigRefuses(t *testing.T) {
	tests := []struct {
		file string
		want []string
	}{
		{"unknown.toml", []string{
			`line 7: key "daemon.debgu": unknown; did you mean "daemon.debug"?`,
			`line 11: key "daemon.neverused": unknown; did you mean "daemon.neveruse"?`,
			`line 15: key "clutser": unknown; did you mean "cluster"?`,
			`line 19: key "orchestration.heartbeat": unknown; did you mean "cluster.heartbeat"?`,
			`line 23: key "daemon.defaultaddresspools.sise": unknown; did you mean "daemon.defaultaddresspools.size"?`,
		}},
		{"double.toml", []string{`line 4: key "Daemon": is also there as "daemon"; keep one`}},
		{"syntax.toml", []string{`line 3`, `"daemon.datadir"`}},
		{"type.toml", []string{`line 3`, `"cluster.heartbeat"`}},
		{"value.toml", []string{
			`data dir "srv": not an absolute path`,
			`never use "10.1.0.1/16": has bits set beyond its length; did you mean "10.1.0.0/16"?`,
			`announce: count 9 is not from 0 to 3`,
		}},
		{"both.toml", []string{`[datastore.client] is the older form of [scopes.global.client]`}},
		{"embedded.toml", []string{`is embedded`}},
		{"noaddress.toml", []string{`store of scope "global": provider "consul" has no address`}},
	}
	for _, test := range tests {
		t.Run(test.file, func(t *testing.T) {
			path := filepath.Join("testdata", test.file)
			cfg, err := config.ParseConfig(path)
			if err == nil {
				t.Fatalf("got %+v, want an error", cfg)
			}
			if _, ok := err.(types.BadRequestError); !ok || !errors.Is(err, cnm.Invalid) || cnm.KindOf(err) != cnm.Invalid {
				t.Errorf("%T is not a bad request, or not of kind invalid", err)
			}
			for _, want := range append(test.want, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got  %s\nwant %s", err, want)
				}
			}
			if strings.Contains(err.Error(), "\n") || strings.Count(err.Error(), "sise") > 1 {
				t.Errorf("has several lines, or says a thing twice: %s", err)
			}
		})
	}
}

func TestParseConfigUnreadable(t *testing.T) {
	_, err := config.ParseConfig(filepath.Join(t.TempDir(), "none.toml"))
	if _, ok := err.(types.NotFoundError); !ok || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: got %v", err)
	}
	_, err = config.ParseConfig(t.TempDir())
	if _, ok := err.(types.InternalError); !ok {
		t.Errorf("directory: got %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.toml")
	if err := os.WriteFile(large, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = config.ParseConfig(large); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("large file: got %v", err)
	}
}

func TestParseConfigLongFileWithoutLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "long.toml")
	text := strings.Repeat("# nothing\n", 2000) + "debug = true\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := config.ParseConfig(path)
	want := `key "debug": unknown; did you mean "daemon.debug"?`
	if err == nil || !strings.HasSuffix(err.Error(), "toml\": "+want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
