package server

import (
	"net"
	"net/netip"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/types"
)

// networkOptions turns the body of a creation into the library's options, which check it.
func networkOptions(in *api.NetworkCreate) []libnetwork.NetworkOption {
	generic := make(map[string]any, len(in.NetworkOpts))
	for key, value := range in.NetworkOpts {
		generic[key] = value
	}
	options := []libnetwork.NetworkOption{
		libnetwork.NetworkOptionGeneric(generic),
		libnetwork.NetworkOptionDriverOpts(in.DriverOpts),
		libnetwork.NetworkOptionLabels(in.Labels),
		libnetwork.NetworkOptionAttachable(in.Attachable), libnetwork.NetworkOptionScope(in.Scope),
		libnetwork.NetworkOptionIpam(in.IPAMDriver, in.AddressSpace, ipamConfs(in.IPv4Conf), ipamConfs(in.IPv6Conf), in.IPAMOpts),
	}
	if in.EnableIPv4 != nil {
		options = append(options, libnetwork.NetworkOptionEnableIPv4(*in.EnableIPv4))
	}
	if in.EnableIPv6 {
		options = append(options, libnetwork.NetworkOptionEnableIPv6(true))
	}
	if in.Internal {
		options = append(options, libnetwork.NetworkOptionInternalNetwork())
	}
	for _, server := range in.DNS {
		options = append(options, libnetwork.NetworkOptionDNS(server))
	}
	return options
}

func ipamConfs(in []api.IPAMConfig) []*libnetwork.IpamConf {
	var out []*libnetwork.IpamConf
	for _, conf := range in {
		out = append(out, &libnetwork.IpamConf{
			PreferredPool: conf.PreferredPool, SubPool: conf.SubPool, Gateway: conf.Gateway, AuxAddresses: conf.AuxAddresses,
		})
	}
	return out
}

// endpointOptions turns the body of a creation into the library's options.
func endpointOptions(in *api.EndpointCreate) ([]libnetwork.EndpointOption, error) {
	var options []libnetwork.EndpointOption
	for _, alias := range in.MyAliases {
		if strings.TrimSpace(alias) == "" {
			return nil, invalid("alias %q: must not be empty", alias)
		}
		options = append(options, libnetwork.CreateOptionMyAlias(alias))
	}
	if in.IPv4.IsValid() || in.IPv6.IsValid() || len(in.LinkLocal) > 0 || len(in.IPAMOpts) > 0 {
		var linkLocal []net.IP
		for _, address := range in.LinkLocal {
			linkLocal = append(linkLocal, address.AsSlice())
		}
		options = append(options, libnetwork.CreateOptionIpam(in.IPv4.AsSlice(), in.IPv6.AsSlice(), linkLocal, in.IPAMOpts))
	}
	generic := make(map[string]any)
	for key, value := range in.DriverOpts {
		generic[key] = value
	}
	if in.MAC != "" {
		generic[netlabel.MacAddress] = in.MAC
	}
	if len(generic) > 0 {
		options = append(options, libnetwork.EndpointOptionGeneric(generic))
	}
	if len(in.Labels) > 0 {
		options = append(options, libnetwork.CreateOptionLabels(in.Labels))
	}
	if in.Anonymous {
		options = append(options, libnetwork.CreateOptionAnonymous())
	}
	if in.DisableResolution {
		options = append(options, libnetwork.CreateOptionDisableResolution())
	}
	ports, err := portOptions(in)
	return append(options, ports...), err
}

// portOptions are those of what an endpoint serves and asks.
func portOptions(in *api.EndpointCreate) (options []libnetwork.EndpointOption, err error) {
	for _, server := range in.DNS {
		if _, err := netip.ParseAddr(server); err != nil {
			return nil, invalid("name server %q: is not an IP address", server)
		}
	}
	if len(in.DNS) > 0 {
		options = append(options, libnetwork.CreateOptionDNS(in.DNS))
	}
	bindings, err := expand(in.Ports)
	if err != nil {
		return nil, err
	}
	if len(bindings) > 0 {
		options = append(options, libnetwork.CreateOptionPortMapping(bindings))
	}
	exposed, err := exposedPorts(in.ExposedPorts)
	if err != nil {
		return nil, err
	}
	if len(exposed) > 0 {
		options = append(options, libnetwork.CreateOptionExposedPorts(exposed))
	}
	return options, nil
}

// aliasOptions turns aliases of the form container:alias into options of a join.
func aliasOptions(aliases []string) ([]libnetwork.EndpointOption, error) {
	var options []libnetwork.EndpointOption
	for _, text := range aliases {
		name, alias, found := strings.Cut(text, ":")
		if !found || name == "" || alias == "" {
			return nil, invalid("alias %q: want container:alias", text)
		}
		options = append(options, libnetwork.CreateOptionAlias(name, alias))
	}
	return options, nil
}

// mostPorts is how many ports a request may publish: all that a protocol has. Ranges make
// more of them from few bytes, and each needs memory and, on the host, a socket.
const mostPorts = 1<<16 - 1

// expand turns mappings into the library's bindings, one for each port of a range.
func expand(ports []api.PortMapping) ([]types.PortBinding, error) {
	var out []types.PortBinding
	for _, m := range ports {
		// What is written in JSON is held to what can be written as text.
		if m.Protocol == "" {
			m.Protocol = "tcp"
		}
		checked, err := api.ParsePortMapping(m.String())
		if err != nil {
			return nil, err
		}
		if count := max(1, int(checked.ContainerPortEnd)-int(checked.ContainerPort)+1); len(out)+count > mostPorts {
			return nil, invalid("ports: are more than %d; publish fewer", mostPorts)
		}
		proto := types.ParseProtocol(checked.Protocol)
		if checked.ContainerPortEnd == 0 {
			out = append(out, types.PortBinding{
				Proto: proto, Port: checked.ContainerPort, HostIP: checked.HostIP.AsSlice(),
				HostPort: checked.HostPort, HostPortEnd: checked.HostPortEnd,
			})
			continue
		}
		for i := uint16(0); i <= checked.ContainerPortEnd-checked.ContainerPort; i++ {
			binding := types.PortBinding{Proto: proto, Port: checked.ContainerPort + i, HostIP: checked.HostIP.AsSlice()}
			if checked.HostPort != 0 {
				binding.HostPort = checked.HostPort + i
			}
			out = append(out, binding)
		}
	}
	return out, nil
}

// exposedPorts reads ports such as 80 and 53/udp.
func exposedPorts(names []string) ([]types.TransportPort, error) {
	var out []types.TransportPort
	for _, name := range names {
		m, err := api.ParsePortMapping(name)
		if err != nil {
			return nil, err
		}
		if m.HostPort != 0 || m.HostIP.IsValid() || m.ContainerPortEnd != 0 {
			return nil, invalid("exposed port %q: want a port and perhaps a protocol, as 80/tcp", name)
		}
		out = append(out, types.TransportPort{Proto: types.ParseProtocol(m.Protocol), Port: m.ContainerPort})
	}
	return out, nil
}

// sandboxOptions turns the body of a creation into the library's options, which check it.
func sandboxOptions(in *api.SandboxCreate) ([]libnetwork.SandboxOption, error) {
	options := []libnetwork.SandboxOption{
		libnetwork.OptionHostname(in.HostName),
		libnetwork.OptionDomainname(in.DomainName),
		libnetwork.OptionHostsPath(in.HostsPath),
		libnetwork.OptionResolvConfPath(in.ResolvConfPath),
	}
	for _, path := range []string{in.HostsPath, in.ResolvConfPath} {
		if path != "" && !strings.HasPrefix(path, "/") {
			return nil, invalid("path %q: must be absolute, since the daemon has a folder of its own", path)
		}
	}
	for _, server := range in.DNS {
		options = append(options, libnetwork.OptionDNS(server))
	}
	for _, domain := range in.DNSSearch {
		options = append(options, libnetwork.OptionDNSSearch(domain))
	}
	for _, option := range in.DNSOptions {
		options = append(options, libnetwork.OptionDNSOptions(option))
	}
	for _, host := range in.ExtraHosts {
		options = append(options, libnetwork.OptionExtraHost(host.Name, host.Address))
	}
	if in.UseDefaultSandbox {
		options = append(options, libnetwork.OptionUseDefaultSandbox())
	}
	if in.UseExternalKey {
		options = append(options, libnetwork.OptionUseExternalKey())
	}
	if in.Namespace != "" {
		options = append(options, libnetwork.OptionNamespace(in.Namespace))
	}
	var exposed []types.TransportPort
	for _, port := range in.ExposedPorts {
		exposed = append(exposed, types.TransportPort{Proto: types.Protocol(port.Proto), Port: port.Port})
	}
	if len(exposed) > 0 {
		options = append(options, libnetwork.OptionExposedPorts(exposed))
	}
	bindings, err := expand(in.Ports)
	if err != nil {
		return nil, err
	}
	old, err := oldBindings(in.PortMapping)
	if err != nil {
		return nil, err
	}
	if bindings = append(bindings, old...); len(bindings) > 0 {
		options = append(options, libnetwork.OptionPortMapping(bindings))
	}
	if len(in.Labels) > 0 {
		for key := range in.Labels {
			if strings.HasPrefix(key, "dnet.") {
				return nil, invalid("label %q: those that begin with \"dnet.\" are the daemon's own", key)
			}
		}
		options = append(options, libnetwork.OptionGeneric(in.Labels))
	}
	return options, nil
}

// oldBindings reads the form of 2017.
func oldBindings(in []api.PortBinding) ([]types.PortBinding, error) {
	var out []types.PortBinding
	for _, b := range in {
		binding := types.PortBinding{Proto: types.Protocol(b.Proto), Port: b.Port, HostPort: b.HostPort, HostPortEnd: b.HostPortEnd}
		var err error
		if binding.IP, err = oldAddress(b.IP); err == nil {
			binding.HostIP, err = oldAddress(b.HostIP)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, binding)
	}
	return out, nil
}

func oldAddress(text string) (net.IP, error) {
	if text == "" {
		return nil, nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return nil, invalid("port mapping: address %q: is not an IP address", text)
	}
	return address.AsSlice(), nil
}

// defaultNetwork fills in an empty name of a network.
func (s *Server) defaultNetwork(name string) (string, error) {
	if name != "" {
		return name, nil
	}
	if s.DefaultNetwork == "" {
		return "", invalid("no network is named, and the daemon has no default network")
	}
	return s.DefaultNetwork, nil
}

func mismatch(what, body, path string) error {
	return invalid("%s: the body says %q and the path %q", what, body, path)
}
