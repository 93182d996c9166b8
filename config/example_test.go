package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/netlabel"
)

// Options are given to libnetwork.New; ParseConfigOptions shows what they amount to.
func Example() {
	cfg := config.ParseConfigOptions(
		config.OptionDataDir("/srv/net"),
		config.OptionDefaultDriver("bridge"),
		config.OptionDriverConfig("bridge", map[string]interface{}{
			netlabel.GenericData: map[string]interface{}{"EnableIPForwarding": true},
		}),
		config.OptionDefaultAddressPools([]config.AddressPool{{Base: "10.64.0.0/10", Size: 24}}),
		config.OptionNeverUse("10.100.0.0/16"),
		config.OptionAnnounce(2, 500*time.Millisecond),
	)
	fmt.Println(cfg.Validate())
	fmt.Println(cfg.Daemon.DataDir, cfg.Daemon.ExecRoot)
	fmt.Println(cfg.Scopes["local"].Client.Provider, cfg.Scopes["local"].Client.Address)
	// Output:
	// <nil>
	// /srv/net /run/libnetwork
	// boltdb /srv/net/network/files/local-kv.db
}

func ExampleConfig_Validate() {
	cfg := config.ParseConfigOptions(config.OptionNeverUse("10.100.0.1/16"))
	err := cfg.Validate()
	fmt.Println(err)
	fmt.Println(errors.Is(err, cnm.Invalid))
	// Output:
	// configuration: never use "10.100.0.1/16": has bits set beyond its length; did you mean "10.100.0.0/16"?
	// true
}

func ExampleParseConfig() {
	dir, err := os.MkdirTemp("", "config")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	name := filepath.Join(dir, "libnetwork.toml")
	text := `
title = "network of this host"

[daemon]
datadir = "/srv/net"
defaultnetwork = "web"
labels = ["com.docker.network.driver.overlay.bind_interface=eth0"]

[scopes.local.client]
provider = "memory"
`
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	cfg, err := config.ParseConfig(name)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(cfg.Daemon.DataDir, cfg.Daemon.DefaultNetwork, cfg.Scopes["local"].Client.Provider)
	// Output: /srv/net web memory
}
