package remote

import (
	"errors"

	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Labels of the protocol.
const (
	prefix        = "com.docker.network."
	labelGeneric  = prefix + "generic"
	labelIPv4     = prefix + "enable_ipv4"
	labelIPv6     = prefix + "enable_ipv6"
	labelInternal = prefix + "internal"
	labelPorts    = prefix + "portmap"
	labelExposed  = prefix + "endpoint.exposedports"
	labelDNS      = prefix + "endpoint.dnsservers"
)

// Node is a node of the cluster.
type Node = protocol.NodeDiscoveryData

// answered reports whether the plugin has answered the call with an error: nothing
// happened, and will not when it is asked again.
func answered(err error) bool {
	var said *plugin.Error
	return errors.As(err, &said) || errors.Is(err, plugin.NotImplemented)
}

// absent turns the answer that there is no such method into success.
func absent(err error) error {
	if errors.Is(err, plugin.NotImplemented) {
		return nil
	}
	return err
}
