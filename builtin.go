package libnetwork

import (
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/bridge"
	"github.com/docker/libnetwork/drivers/host"
	"github.com/docker/libnetwork/drivers/null"
)

// driverEntry is a driver with what the controller must know of its kind.
type driverEntry struct {
	driver cnm.Driver
	scope  cnm.Scope
	// single drivers have one network at most, which cannot be deleted.
	single bool
	// noAddresses: the driver's networks have no subnets.
	noAddresses bool
}

// builtinDrivers is the table of the drivers of this build. Options are by network
// type.
func builtinDrivers(options func(networkType string) (map[string]string, error)) (map[string]driverEntry, error) {
	given, err := options("bridge")
	if err != nil {
		return nil, cnm.Wrap(quote("driver", "bridge"), err)
	}
	bridgeConfig, err := bridge.ParseConfig(given)
	if err != nil {
		return nil, cnm.Wrap(quote("driver", "bridge"), err)
	}
	return map[string]driverEntry{
		"bridge": {driver: bridge.New(bridgeConfig), scope: cnm.Local},
		"host":   {driver: host.New(), scope: cnm.Local, single: true, noAddresses: true},
		"null":   {driver: null.New(), scope: cnm.Local, single: true, noAddresses: true},
	}, nil
}

// driver returns a driver by the type of its networks.
func (c *controller) driver(networkType string) (driverEntry, error) {
	if networkType == "" {
		return driverEntry{}, ErrInvalidNetworkDriver(networkType)
	}
	entry, ok := c.drivers[networkType]
	if !ok {
		return driverEntry{}, NetworkTypeError(networkType)
	}
	return entry, nil
}
