package server

import (
	"net/netip"
	"slices"
	"strconv"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/types"
)

func (x *index) summary(e *cnm.Endpoint) api.EndpointSummary {
	return api.EndpointSummary{Name: e.Name, ID: e.ID, Network: x.networkName(e.NetworkID)}
}

// networkView returns a network, with who holds its addresses if holders is true.
func (x *index) networkView(n *cnm.Network, holders bool) api.Network {
	out := api.Network{
		Name: n.Name, ID: n.ID, Type: n.Driver, Endpoints: []api.EndpointSummary{},
		Scope: string(n.Scope), Created: n.Created, Labels: n.Labels, DriverOpts: n.Options,
		EnableIPv4: n.EnableIPv4, EnableIPv6: n.EnableIPv6, Internal: n.Internal, Attachable: n.Attachable,
		DNS: n.DNS, IPAMDriver: n.IPAM.Driver, IPAMOpts: n.IPAM.Options, Subnets: []api.Subnet{},
	}
	out.HostLinks = hostLinks(n.Parts)
	for _, e := range x.endpointsOf(n.ID) {
		out.Endpoints = append(out.Endpoints, x.summary(e))
	}
	// A network that has gone meanwhile has no addresses in use.
	used, _ := x.inspector.AddressUse(n.ID)
	for _, subnet := range used {
		view := api.Subnet{Pool: subnet.Pool, Range: subnet.Range, Gateway: subnet.Gateway, Used: len(subnet.Holders)}
		if subnet.Known {
			view.Available = &subnet.Available
		}
		if holders {
			view.Holders = []api.Holder{}
			for _, h := range subnet.Holders {
				view.Holders = append(view.Holders, api.Holder(h))
			}
		}
		out.Subnets = append(out.Subnets, view)
	}
	return out
}

// hostLinks are the names of what the parts have on the host.
func hostLinks(parts []netstate.Part) []string {
	var out []string
	for _, part := range parts {
		for _, link := range part.Links {
			if part.Namespace == "" {
				out = append(out, link.Name)
			}
		}
	}
	return out
}

func (x *index) endpointView(e *cnm.Endpoint) api.Endpoint {
	out := api.Endpoint{
		EndpointSummary: x.summary(e), NetworkID: e.NetworkID, Created: e.Created, Labels: e.Labels,
		SandboxID: e.SandboxID, Container: x.container(e), Interface: e.Interface, Priority: e.Priority,
		MyAliases: e.MyAliases, Aliases: e.Aliases, Anonymous: e.Anonymous, DNS: e.DNS, DriverOpts: e.Options,
		ExposedPorts: portNames(e.ExposedPorts), HostLinks: hostLinks(e.Parts),
	}
	if n := x.networks[e.NetworkID]; n != nil {
		out.NetworkLinks = hostLinks(n.Parts)
	}
	if !e.MAC.IsZero() {
		out.MAC = e.MAC.String()
	}
	for _, prefix := range append([]netip.Prefix{e.IPv4, e.IPv6}, e.LinkLocal...) {
		if prefix.IsValid() {
			out.Addresses = append(out.Addresses, prefix)
		}
	}
	for _, gateway := range []netip.Addr{e.Gateway4, e.Gateway6} {
		if gateway.IsValid() {
			out.Gateways = append(out.Gateways, gateway)
		}
	}
	for _, route := range e.Routes {
		out.Routes = append(out.Routes, api.Route(route))
	}
	ports := e.Published
	if ports == nil {
		ports = e.PortBindings
	}
	out.Ports = mappings(ports)
	return out
}

// sandboxView returns a sandbox; its endpoints are in the order of the controller, which
// is that of default routes.
func (s *Server) sandboxView(x *index, sb *cnm.Sandbox) api.Sandbox {
	out := api.Sandbox{
		ID: sb.ID, Key: sb.Key, ContainerID: sb.ContainerID, Created: sb.Created,
		Host: sb.Host, External: sb.External, Ready: sb.Ready, Hostname: sb.Hostname, Domainname: sb.Domainname,
		HostsPath: sb.HostsPath, ResolvConfPath: sb.ResolvConfPath, DNS: sb.DNS, DNSSearch: sb.DNSSearch,
		DNSOptions: sb.DNSOptions, ExposedPorts: portNames(sb.ExposedPorts), Ports: mappings(sb.PortBindings),
		Labels: sb.Labels,
	}
	for _, host := range sb.ExtraHosts {
		out.ExtraHosts = append(out.ExtraHosts, api.ExtraHost{Name: host.Name, Address: host.IP})
	}
	if owner, ok := OwnerOf(sb.Labels); ok {
		out.Lifetime, out.OwnerPID = api.LifetimeProcess, owner.PID
	}
	live, err := s.Controller.SandboxByID(sb.ID)
	if err != nil {
		return out // it has gone meanwhile
	}
	out.Key = live.Key()
	for _, member := range live.Endpoints() {
		if e := x.endpoints[member.ID()]; e != nil {
			out.Endpoints = append(out.Endpoints, x.endpointView(e))
		}
	}
	return out
}

// OwnerOf reads the labels of a sandbox that depends on a process.
func OwnerOf(labels map[string]any) (Owner, bool) {
	if labels[LabelLifetime] != api.LifetimeProcess {
		return Owner{}, false
	}
	pid, _ := labels[LabelOwnerPID].(string)
	start, _ := labels[LabelOwnerStart].(string)
	number, pidErr := strconv.Atoi(pid)
	ticks, startErr := strconv.ParseUint(start, 10, 64)
	return Owner{PID: number, Start: ticks}, pidErr == nil && startErr == nil
}

// ownerLabels are what OwnerOf reads. They are text, since numbers that have been JSON are
// not exact.
func ownerLabels(o Owner) map[string]any {
	return map[string]any{
		LabelLifetime: api.LifetimeProcess, LabelOwnerPID: strconv.Itoa(o.PID), LabelOwnerStart: strconv.FormatUint(o.Start, 10),
	}
}

func mappings(bindings []cnm.PortBinding) []api.PortMapping {
	var out []api.PortMapping
	for _, b := range bindings {
		m := api.PortMapping{
			Protocol: types.Protocol(b.Protocol).String(), ContainerPort: b.Port, ContainerPortEnd: b.PortEnd,
			HostIP: b.HostIP, HostPort: b.HostPort, HostPortEnd: b.HostPortEnd,
		}
		if n := b.Count(); n > 1 && b.HostPort != 0 {
			m.HostPortEnd = b.HostPort + uint16(n-1)
		}
		out = append(out, m)
	}
	return out
}

func portNames(ports []cnm.Port) []string {
	var out []string
	for _, p := range ports {
		out = append(out, strconv.Itoa(int(p.Port))+"/"+types.Protocol(p.Protocol).String())
	}
	return out
}

// statisticsView returns the counters of a sandbox's interfaces.
func (x *index) statisticsView(sb libnetwork.Sandbox) (api.SandboxStatistics, error) {
	out := api.SandboxStatistics{SandboxID: sb.ID(), ContainerID: sb.ContainerID(), Interfaces: []api.InterfaceStatistics{}}
	counters, err := sb.Statistics()
	if err != nil {
		return out, err
	}
	networks := make(map[string]string)
	for _, e := range x.Endpoints {
		if e.SandboxID == sb.ID() {
			networks[e.Interface] = x.networkName(e.NetworkID)
		}
	}
	names := make([]string, 0, len(counters))
	for name := range counters {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		c := counters[name]
		out.Interfaces = append(out.Interfaces, api.InterfaceStatistics{
			Name: name, Network: networks[name],
			RxBytes: c.RxBytes, RxPackets: c.RxPackets, RxErrors: c.RxErrors, RxDropped: c.RxDropped,
			TxBytes: c.TxBytes, TxPackets: c.TxPackets, TxErrors: c.TxErrors, TxDropped: c.TxDropped,
		})
	}
	return out, nil
}
