package remote

import (
	"context"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Bounds of the options that a plugin adds to a network.
const (
	mostOptions   = 256
	longestOption = 16 << 10 // bytes, of a key or a value
)

// AllocateNetwork reserves what a network of global scope needs in the cluster. It returns
// the options to create it with on each node: those of the record, with what the plugin
// adds or changes. A plugin that does not have the method reserves nothing.
func (d *Driver) AllocateNetwork(ctx context.Context, n *cnm.Network) (map[string]string, error) {
	options := make(map[string]string, len(n.Options))
	for key, value := range n.Options {
		options[key] = value
	}
	request := protocol.AllocateNetworkRequest{
		NetworkID: n.ID, Options: options, IPv4Data: ipamData(n, n.Subnets4), IPv6Data: ipamData(n, n.Subnets6),
	}
	var reply protocol.AllocateNetworkReply
	err := absent(d.call(ctx, "AllocateNetwork", request, &reply))
	if err == nil {
		err = d.merge(options, reply.Options)
	}
	if err != nil {
		return nil, d.takeBack(ctx, err, "FreeNetwork", protocol.DeleteNetworkRequest{NetworkID: n.ID})
	}
	return options, nil
}

func (d *Driver) merge(options, added map[string]string) error {
	if len(added) > mostOptions {
		return d.wrap("AllocateNetwork", refuse("there are %d options; want %d at most", len(added), mostOptions))
	}
	for key, value := range added {
		if key == "" || len(key) > longestOption || len(value) > longestOption {
			return d.wrap("AllocateNetwork", refuse("option %.60q: is empty or longer than %d bytes", key, longestOption))
		}
		options[key] = value
	}
	return nil
}

// FreeNetwork gives back what AllocateNetwork reserved.
func (d *Driver) FreeNetwork(ctx context.Context, n *cnm.Network) error {
	return absent(d.repeat(ctx, "FreeNetwork", protocol.DeleteNetworkRequest{NetworkID: n.ID}, nil))
}

// DiscoverNew tells the plugin of a node that has come to the cluster. A plugin that does
// not care need not have the method.
func (d *Driver) DiscoverNew(ctx context.Context, node Node) error {
	return absent(d.repeat(ctx, "DiscoverNew", protocol.DiscoveryNotification{DiscoveryType: protocol.NodeDiscovery, DiscoveryData: node}, nil))
}

// DiscoverDelete tells the plugin of a node that has left the cluster.
func (d *Driver) DiscoverDelete(ctx context.Context, node Node) error {
	return absent(d.repeat(ctx, "DiscoverDelete", protocol.DiscoveryNotification{DiscoveryType: protocol.NodeDiscovery, DiscoveryData: node}, nil))
}
