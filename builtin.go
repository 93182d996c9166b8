package libnetwork

import (
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/drivers/bridge"
	"github.com/docker/libnetwork/drivers/host"
	"github.com/docker/libnetwork/drivers/ipvlan"
	"github.com/docker/libnetwork/drivers/macvlan"
	"github.com/docker/libnetwork/drivers/null"
	"github.com/docker/libnetwork/plugin"
)

// driverEntry is a driver with what the controller must know of its kind.
type driverEntry struct {
	driver cnm.Driver
	scope  cnm.Scope
	// single drivers have one network at most, which cannot be deleted.
	single bool
	// spans: a network can be one on several hosts, which are on one segment by its parent.
	spans bool
	// noAddresses: the driver's networks have no subnets.
	noAddresses bool
}

// builtinDrivers is the table of the drivers of this build.
func builtinDrivers(settings bridge.Config) map[string]driverEntry {
	return map[string]driverEntry{
		"bridge":  {driver: bridge.New(settings), scope: cnm.Local},
		"host":    {driver: host.New(), scope: cnm.Local, single: true, noAddresses: true},
		"ipvlan":  {driver: ipvlan.New(), scope: cnm.Local, spans: true},
		"macvlan": {driver: macvlan.New(), scope: cnm.Local, spans: true},
		"null":    {driver: null.New(), scope: cnm.Local, single: true, noAddresses: true},
	}
}

// bridgeConfig is what the configuration says to the bridge driver.
func bridgeConfig(cfg *config.Config) (bridge.Config, error) {
	given, err := driverOptions(cfg, "bridge")
	if err != nil {
		return bridge.Config{}, cnm.Wrap(quote("driver", "bridge"), err)
	}
	settings, err := bridge.ParseConfig(given)
	if cfg.Daemon.FirewallBackend == config.FirewallNone {
		settings.NoFilter4, settings.NoFilter6 = true, true
	}
	return settings, cnm.Wrap(quote("driver", "bridge"), err)
}

// driver returns a driver by the type of its networks: one of this build, or else that of a
// plugin of the name, whether or not there is one.
func (c *controller) driver(networkType string) (driverEntry, error) {
	if networkType == "" {
		return driverEntry{}, ErrInvalidNetworkDriver(networkType)
	}
	if entry, ok := c.drivers[networkType]; ok {
		return entry, nil
	}
	if !plugin.ValidName(networkType) {
		return driverEntry{}, NetworkTypeError(networkType)
	}
	return c.remoteDriverEntry(networkType), nil
}
