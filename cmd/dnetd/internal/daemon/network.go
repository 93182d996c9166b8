package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netlabel"
)

// makeDefaultNetwork makes it, unless it is there or not wanted.
func (d *daemon) makeDefaultNetwork(ctx context.Context) error {
	name := d.config.Daemon.DefaultNetwork
	if d.config.Dnet.NoDefaultNetwork || name == "" {
		return nil
	}
	controller := d.backend.Controller
	if n, err := controller.NetworkByName(name); err == nil {
		d.compareBridge(n)
		return nil
	} else if !errors.Is(err, cnm.NotFound) {
		return err
	}
	options := []libnetwork.NetworkOption{}
	if d.config.Daemon.DefaultDriver == defaultDriver {
		// A bridge of that name which is there already is taken as it stands.
		options = append(options, libnetwork.NetworkOptionGeneric(map[string]any{
			netlabel.GenericData: map[string]string{netlabel.BridgeName: d.config.Dnet.DefaultBridge},
		}))
		conf, err := d.defaultSubnet(ctx)
		if err != nil {
			return err
		}
		if conf != nil {
			options = append(options, libnetwork.NetworkOptionIpam("", "", []*libnetwork.IpamConf{conf}, nil, nil))
		}
	}
	if _, err := controller.NewNetworkContext(ctx, d.config.Daemon.DefaultDriver, name, "", options...); err != nil {
		return cnm.Wrap("default network; start without one by --no-default-network", err)
	}
	d.log.Info("made the default network", "network", name, "bridge", d.config.Dnet.DefaultBridge)
	return nil
}

// compareBridge says so if the default network, which an earlier start made, is on another
// bridge than is configured now.
func (d *daemon) compareBridge(n libnetwork.Network) {
	has := n.Info().DriverOptions()[netlabel.BridgeName]
	if wanted := d.config.Dnet.DefaultBridge; has != "" && has != wanted {
		d.log.Warn("the default network stays on its bridge; delete the network to have it made on the one that is configured",
			"network", n.Name(), "bridge", has, "configured", wanted)
	}
}

// defaultSubnet is that of the configuration, or of the bridge if it is there and has one;
// nil leaves it to the address manager.
func (d *daemon) defaultSubnet(ctx context.Context) (*libnetwork.IpamConf, error) {
	address, err := d.bridgeAddress(ctx)
	if err != nil {
		return nil, err
	}
	subnet := d.config.Dnet.DefaultSubnet
	switch {
	case !address.IsValid() && subnet == "":
		return nil, nil
	case !address.IsValid():
		return &libnetwork.IpamConf{PreferredPool: subnet}, nil
	case subnet != "" && subnet != address.Masked().String():
		return nil, cnm.E("default network", cnm.Invalid, fmt.Errorf(
			"bridge %q has the address %s, which is not in the subnet %q that is configured; configure that of the bridge, or another bridge", d.config.Dnet.DefaultBridge, address, subnet))
	}
	return &libnetwork.IpamConf{PreferredPool: address.Masked().String(), Gateway: address.Addr().String()}, nil
}

// bridgeAddress returns the first IPv4 address of the bridge, if it is there.
func (d *daemon) bridgeAddress(ctx context.Context) (netip.Prefix, error) {
	report, err := survey.Take(ctx, survey.Options{HostNamespace: d.config.Daemon.HostNamespace})
	if errors.Is(err, cnm.Unsupported) {
		return netip.Prefix{}, nil
	}
	if err != nil {
		return netip.Prefix{}, cnm.Wrap("look for bridge "+d.config.Dnet.DefaultBridge, err)
	}
	for _, link := range report.Host.Links {
		if link.Name != d.config.Dnet.DefaultBridge {
			continue
		}
		for _, prefix := range link.Addresses {
			if prefix.Addr().Is4() {
				return prefix, nil
			}
		}
	}
	return netip.Prefix{}, nil
}

// clean deletes all that the controller has, and says how far it has come.
func (d *daemon) clean(ctx context.Context) {
	controller := d.backend.Controller
	sandboxes, networks := controller.Sandboxes(), controller.Networks()
	total, done := len(sandboxes)+len(networks), 0
	step := func(what, name string, err error) {
		done++
		if err != nil && !errors.Is(err, cnm.NotFound) {
			d.log.Warn("clean up: this stays", what, name, "done", done, "of", total, "error", err)
			return
		}
		d.log.Info("clean up: deleted", what, name, "done", done, "of", total)
	}
	for _, sb := range sandboxes {
		step("container", sb.ContainerID(), sb.DeleteContext(ctx))
	}
	for _, n := range networks {
		var errs []error
		for _, ep := range n.Endpoints() {
			if err := ep.DeleteContext(ctx, true); err != nil && !errors.Is(err, cnm.NotFound) {
				errs = append(errs, err)
			}
		}
		step("network", n.Name(), errors.Join(append(errs, n.DeleteContext(ctx))...))
	}
}
