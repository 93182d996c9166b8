package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/config"
)

func parseText(t *testing.T, text string) (*config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libnetwork.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return config.ParseConfig(path)
}

func TestDnetTable(t *testing.T) {
	cfg, err := parseText(t, `[dnet]
hosts = ["unix:///run/x.sock", "tcp://127.0.0.1:1"]
socketgroup = "net"
allowedhosts = ["dnet.example"]
tlscacert = "/ca"
tlscert = "/cert"
tlskey = "/key"
logformat = "json"
loglevel = "debug"
pidfile = "/run/x.pid"
defaultbridge = "docker0"
defaultsubnet = "10.9.0.0/24"
nodefaultnetwork = true
shutdownclean = true
shutdowntimeout = "3s"
maxconnections = 7
`)
	if err != nil {
		t.Fatal(err)
	}
	want := config.DnetCfg{
		Hosts: []string{"unix:///run/x.sock", "tcp://127.0.0.1:1"}, SocketGroup: "net", AllowedHosts: []string{"dnet.example"},
		TLSCACert: "/ca", TLSCert: "/cert", TLSKey: "/key", LogFormat: "json", LogLevel: "debug", PIDFile: "/run/x.pid",
		DefaultBridge: "docker0", DefaultSubnet: "10.9.0.0/24", NoDefaultNetwork: true, ShutdownClean: true,
		ShutdownTimeout: 3 * time.Second, MaxConnections: 7,
	}
	if diff := cmp.Diff(want, cfg.Dnet); diff != "" {
		t.Error(diff)
	}
	clone := cfg.Clone()
	clone.Dnet.Hosts[0] = "changed"
	if cfg.Dnet.Hosts[0] == "changed" {
		t.Error("the clone shares the hosts")
	}
}

func TestDnetTableRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`tlscert = "/x"`:                     "all three",
		`tlscacert = "x"`:                    "absolute",
		`logformat = "xml"`:                  `log format "xml"`,
		`loglevel = "loud"`:                  `log level "loud"`,
		`pidfile = "x"`:                      "absolute",
		`defaultbridge = "0123456789abcdef"`: "default bridge",
		`defaultsubnet = "fd00::/64"`:        "default subnet",
		`shutdowntimeout = "-1s"`:            "negative",
		`maxconnections = -1`:                "negative",
		`host = ["x"]`:                       `line 2: key "dnet.host": unknown; did you mean "dnet.hosts"?`,
	} {
		_, err := parseText(t, "[dnet]\n"+text+"\n")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}
