package daemon

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/resolver"
)

func parseFlags(t *testing.T, arguments ...string) *Options {
	t.Helper()
	o, flags := new(Options), pflag.NewFlagSet("dnet", pflag.ContinueOnError)
	o.BindFlags(flags)
	if err := flags.Parse(arguments); err != nil {
		t.Fatal(err)
	}
	return o
}

// TestWhatWins: a flag over the environment over the file over the default.
func TestWhatWins(t *testing.T) {
	t.Setenv(settings.HostVariable, "")
	path := filepath.Join(t.TempDir(), "libnetwork.toml")
	text := "[daemon]\ndatadir = \"/file\"\ndebug = true\n[dnet]\nhosts = [\"unix:///file\"]\nshutdownclean = true\nloglevel = \"warn\"\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	load := func(arguments ...string) *config.Config {
		t.Helper()
		cfg, from, err := parseFlags(t, append([]string{"-c", path}, arguments...)...).load()
		if err != nil || from != path {
			t.Fatalf("from %q: %v", from, err)
		}
		return cfg
	}
	cfg := load()
	if cfg.Daemon.DataDir != "/file" || !cfg.Daemon.Debug || !cfg.Dnet.ShutdownClean || cfg.Dnet.LogLevel != "warn" ||
		cfg.Dnet.DefaultBridge != "dnet0" || cfg.Daemon.DefaultNetwork != "bridge" || !slices.Equal(cfg.Dnet.Hosts, []string{"unix:///file"}) {
		t.Errorf("the file and the defaults come to %+v %+v", cfg.Daemon, cfg.Dnet)
	}
	t.Setenv(settings.HostVariable, "unix:///environment")
	if cfg := load(); !slices.Equal(cfg.Dnet.Hosts, []string{"unix:///environment"}) {
		t.Errorf("with the environment: %q", cfg.Dnet.Hosts)
	}
	cfg = load("-H", "unix:///flag", "-H", "tcp://", "--data-dir", "/flag", "-D=false", "--shutdown-clean=false", "-l", "error", "--default-bridge", "docker0")
	if cfg.Daemon.DataDir != "/flag" || cfg.Daemon.Debug || cfg.Dnet.ShutdownClean || cfg.Dnet.LogLevel != "error" ||
		cfg.Dnet.DefaultBridge != "docker0" || !slices.Equal(cfg.Dnet.Hosts, []string{"unix:///flag", "tcp://"}) {
		t.Errorf("with flags: %+v %+v", cfg.Daemon, cfg.Dnet)
	}
	if path := storePath(cfg); path != "/flag/network/files/local-kv.db" {
		t.Errorf("the store is at %q: it did not move with the data dir", path)
	}
	if cfg := load("--no-default-network"); cfg.Daemon.DefaultNetwork != "" {
		t.Errorf("without a default network its name is %q", cfg.Daemon.DefaultNetwork)
	}
}

// TestHelpTellsTheDefaults: what the help of flags says, which cannot import it from here.
func TestHelpTellsTheDefaults(t *testing.T) {
	if settings.DefaultDataDir != config.DefaultDataDir || settings.DefaultExecRoot != config.DefaultExecRoot {
		t.Errorf("the help says %q and %q, the configuration %q and %q",
			settings.DefaultDataDir, settings.DefaultExecRoot, config.DefaultDataDir, config.DefaultExecRoot)
	}
	if settings.DefaultHost != client.DefaultAddress {
		t.Errorf("the daemon listens at %q, and clients ask %q", settings.DefaultHost, client.DefaultAddress)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]address{
		"unix:///run/x":              {unixNetwork, "/run/x", true},
		"tcp://":                     {tcpNetwork, "127.0.0.1:2385", true},
		"tcp://localhost:1":          {tcpNetwork, "127.0.0.1:1", true},
		"tcp://127.7.7.7:1":          {tcpNetwork, "127.7.7.7:1", true},
		"tcp://[::1]:1":              {tcpNetwork, "[::1]:1", true},
		"tcp://[::ffff:127.0.0.1]:1": {tcpNetwork, "[::ffff:127.0.0.1]:1", true},
		"tcp://0.0.0.0:1":            {tcpNetwork, "0.0.0.0:1", false},
		"tcp://:1":                   {tcpNetwork, ":1", false},
		"tcp://[::]:1":               {tcpNetwork, "[::]:1", false},
		"fd://":                      {network: activated},
	} {
		if got, err := parseAddress(text); err != nil || got != want {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"unix:///x", "tcp://", "tcp://[::1]:80", "fd://", "unix://../x", "tcp://a:b", "://", "tcp://0:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err != nil {
			return
		}
		if again, err := parseAddress(a.String()); err != nil || again != a {
			t.Errorf("%q is %+v, which reads as %+v, %v", text, a, again, err)
		}
	})
}

// TestNameServersAreJudged by what has been asked lately, not by what failed long ago.
func TestNameServersAreJudged(t *testing.T) {
	start := time.Now()
	h := &health{since: start}
	for _, step := range []struct {
		asked, failed int64
		after         time.Duration
		ill           bool
	}{
		{4, 4, time.Second, false},        // too few to say anything
		{20, 20, 2 * time.Second, true},   // all fail
		{21, 20, 61 * time.Second, false}, // one did not
		{41, 40, 70 * time.Second, true},  // since then all fail again
		{61, 40, 80 * time.Second, false},
	} {
		got := h.judge(resolver.ForwarderStatistics{Asked: step.asked, Failed: step.failed}, start.Add(step.after))
		if (got != "") != step.ill {
			t.Errorf("%+v: got %q", step, got)
		}
	}
}
