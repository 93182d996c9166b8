package plugin

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/datastore"
)

// TestOptions: flags win over the file, and what neither says is for a plugin beside an
// engine.
func TestOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "settings.toml")
	text := "[daemon]\ndatadir = \"/srv/a\"\nexecroot = \"/run/a\"\nfirewallbackend = \"nftables\"\nneveruse = [\"10.1.0.0/16\"]\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ flags, data, exec, filter string }{
		{"", "/var/lib/libnetwork/plugin/dnet", "/run/libnetwork", "iptables"},
		{"--name x", "/var/lib/libnetwork/plugin/x", "/run/libnetwork", "iptables"},
		{"-c " + file, "/srv/a", "/run/a", "nftables"},
		{"-c " + file + " --data-dir /srv/b --exec-root /run/b --firewall-backend none", "/srv/b", "/run/b", "none"},
	} {
		var o Options
		flags := pflag.NewFlagSet("plugin", pflag.ContinueOnError)
		o.BindFlags(flags)
		if err := flags.Parse(strings.Fields(c.flags)); err != nil {
			t.Fatal(err)
		}
		cfg, err := o.config()
		if err != nil {
			t.Errorf("%q: %v", c.flags, err)
			continue
		}
		store := cfg.Scopes[datastore.LocalScope].Client.Address
		if d := cfg.Daemon; d.DataDir != c.data || d.ExecRoot != c.exec || d.FirewallBackend != c.filter || !strings.HasPrefix(store, c.data+"/") {
			t.Errorf("%q: data %s, store %s, run-time files %s, filter %s; want %+v", c.flags, d.DataDir, store, d.ExecRoot, d.FirewallBackend, c)
		}
		if _, err := pools(cfg, "id"); err != nil {
			t.Errorf("%q: %v", c.flags, err)
		}
	}
	for _, bad := range []Options{{Plugin: settings.Plugin{Name: "dnet", FirewallBackend: "pf"}}, {Plugin: settings.Plugin{Name: "dnet", DataDir: "relative"}}, {Plugin: settings.Plugin{Name: "dnet", ConfigFile: "/missing"}}} {
		if _, err := bad.config(); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	if err := Run(t.Context(), Options{Plugin: settings.Plugin{Name: "../x"}}); err == nil || !strings.Contains(err.Error(), "plugin name") {
		t.Errorf("a name that leads elsewhere: %v", err)
	}
}
