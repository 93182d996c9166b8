package cni

import (
	"net"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/types"
)

func (a *attachment) key() key { return key{a.container, a.ifname} }

// endpointOptions are those of the endpoint of an attachment without a daemon.
func (a *attachment) endpointOptions() []libnetwork.EndpointOption {
	generic := map[string]any{netlabel.Ifname: a.ifname}
	for name, value := range a.limits {
		generic[name] = value
	}
	if a.mac != "" {
		generic[netlabel.MacAddress] = a.mac
	}
	options := []libnetwork.EndpointOption{
		libnetwork.EndpointOptionGeneric(generic),
		libnetwork.CreateOptionLabels(a.labels()),
		libnetwork.CreateOptionDisableResolution(),
		libnetwork.CreateOptionRecordWithJoin(),
	}
	if a.ipv4.IsValid() || a.ipv6.IsValid() {
		options = append(options, libnetwork.CreateOptionIpam(a.ipv4.AsSlice(), a.ipv6.AsSlice(), nil, nil))
	}
	for _, alias := range a.aliases {
		options = append(options, libnetwork.CreateOptionMyAlias(alias))
	}
	if len(a.ports) > 0 {
		options = append(options, libnetwork.CreateOptionPortMapping(a.bindings()))
	}
	return options
}

// joinOptions give the interface a MAC address that follows from its IP address, unless one
// was asked for. Whoever gets the IP address next has the same, so that neighbours need not
// be told: a packet socket, with which to tell them, takes the kernel 10 ms and more to
// close.
func (a *attachment) joinOptions(ep libnetwork.Endpoint) []libnetwork.EndpointOption {
	iface := ep.Info().Iface()
	if a.mac != "" || iface == nil || len(iface.MacAddress()) == 0 {
		return nil
	}
	// Locally administered and for one station (IEEE 802 section 8.4.2).
	mac := net.HardwareAddr{0x02, 0x42}
	switch {
	case iface.Address() != nil:
		mac = append(mac, iface.Address().IP.To4()...)
	case iface.AddressIPv6() != nil:
		mac[1] = 0x46
		mac = append(mac, iface.AddressIPv6().IP[12:]...)
	default:
		return nil
	}
	return []libnetwork.EndpointOption{libnetwork.EndpointOptionGeneric(map[string]any{netlabel.MacAddress: mac})}
}

// announcements is how often neighbours are told of the addresses: see joinOptions.
func (a *attachment) announcements() int {
	if a.mac != "" {
		return 1
	}
	return 0
}

func (a *attachment) labels() map[string]string {
	return map[string]string{labelContainer: a.container, labelInterface: a.ifname}
}

func (a *attachment) bindings() []types.PortBinding {
	out := make([]types.PortBinding, len(a.ports))
	for i, p := range a.ports {
		out[i] = types.PortBinding{
			Proto: types.ParseProtocol(p.Protocol), Port: p.ContainerPort, HostIP: p.HostIP.AsSlice(), HostPort: p.HostPort,
		}
	}
	return out
}
