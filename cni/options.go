package cni

import (
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
