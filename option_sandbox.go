package libnetwork

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/etchosts"
	"github.com/docker/libnetwork/types"
)

// SandboxOption changes how NewSandbox makes a sandbox.
type SandboxOption func(sb *sandboxSpec)

// sandboxSpec gathers options: the record to be, and what was wrong with them.
type sandboxSpec struct {
	record cnm.Sandbox
	// recordWithJoin is OptionRecordWithJoin.
	recordWithJoin bool
	errs           []error
}

func (sb *sandboxSpec) fail(err error) { sb.errs = append(sb.errs, err) }

// OptionHostname sets the container's host name.
func OptionHostname(name string) SandboxOption {
	return func(sb *sandboxSpec) {
		sb.checkName("host name", name)
		sb.record.Hostname = name
	}
}

// checkName refuses what would break the hosts file; an empty name is none.
func (sb *sandboxSpec) checkName(what, name string) {
	if name == "" {
		return
	}
	if err := etchosts.CheckName(name); err != nil {
		sb.fail(fmt.Errorf("%s: %w", what, err))
	}
}

// OptionDomainname sets the container's domain name.
func OptionDomainname(name string) SandboxOption {
	return func(sb *sandboxSpec) {
		sb.checkName("domain name", name)
		sb.record.Domainname = name
	}
}

// OptionHostsPath says where the sandbox's hosts file is to be; without it the
// controller chooses a place.
func OptionHostsPath(path string) SandboxOption {
	return func(sb *sandboxSpec) { sb.record.HostsPath = path }
}

// OptionOriginHostsPath names a file whose content the hosts file starts with.
func OptionOriginHostsPath(path string) SandboxOption {
	return func(sb *sandboxSpec) { sb.record.OriginHostsPath = path }
}

// OptionExtraHost adds a line to the hosts file. The IP "host-gateway" stands for the host,
// at its addresses in the networks that give the sandbox its default routes.
func OptionExtraHost(name string, IP string) SandboxOption {
	return func(sb *sandboxSpec) {
		address := IP
		if IP == hostGateway {
			address = "0.0.0.0" // which one is not known yet
		}
		if err := checkHost(name, address); err != nil {
			sb.fail(err)
		}
		sb.record.ExtraHosts = append(sb.record.ExtraHosts, cnm.HostEntry{Name: name, IP: IP})
	}
}

// OptionParentUpdate adds a line to the hosts file of another container, by its id,
// whenever this sandbox's addresses change. An empty ip means this sandbox's own.
func OptionParentUpdate(cid string, name, ip string) SandboxOption {
	return func(sb *sandboxSpec) {
		if err := checkHost(name, cmp.Or(ip, "0.0.0.0")); err != nil {
			sb.fail(err)
		}
		sb.record.ParentUpdates = append(sb.record.ParentUpdates, cnm.ParentUpdate{ContainerID: cid, Name: name, IP: ip})
	}
}

func checkHost(name, ip string) error {
	if err := etchosts.CheckName(name); err != nil {
		return err
	}
	if _, err := netip.ParseAddr(ip); err != nil {
		return invalid("host %q: %q is not an IP address", name, ip)
	}
	return nil
}

// OptionResolvConfPath says where the sandbox's resolv.conf is to be; without it
// the controller chooses a place.
func OptionResolvConfPath(path string) SandboxOption {
	return func(sb *sandboxSpec) { sb.record.ResolvConfPath = path }
}

// OptionOriginResolvConfPath names the file that resolv.conf starts from, in place
// of the host's.
func OptionOriginResolvConfPath(path string) SandboxOption {
	return func(sb *sandboxSpec) { sb.record.OriginResolvConfPath = path }
}

// OptionDNS adds a name server; the first one given replaces the host's.
func OptionDNS(dns string) SandboxOption {
	return func(sb *sandboxSpec) {
		if _, err := netip.ParseAddr(dns); err != nil {
			sb.fail(invalid("name server %q: is not an IP address", dns))
		}
		sb.record.DNS = append(sb.record.DNS, dns)
	}
}

// OptionDNSSearch adds a search domain; the first one given replaces the host's.
func OptionDNSSearch(search string) SandboxOption {
	return func(sb *sandboxSpec) {
		sb.checkLine("search domain", search)
		sb.record.DNSSearch = append(sb.record.DNSSearch, search)
	}
}

// OptionDNSOptions adds a resolver option; the first one given replaces the host's.
func OptionDNSOptions(options string) SandboxOption {
	return func(sb *sandboxSpec) {
		sb.checkLine("resolver option", options)
		sb.record.DNSOptions = append(sb.record.DNSOptions, options)
	}
}

// checkLine refuses what would not stay on its line of resolv.conf.
func (sb *sandboxSpec) checkLine(what, text string) {
	if strings.ContainsFunc(text, unicode.IsControl) {
		sb.fail(invalid("%s %q: must not hold line breaks or other control characters", what, text))
	}
}

// OptionUseDefaultSandbox makes the sandbox the host's own namespace.
func OptionUseDefaultSandbox() SandboxOption {
	return func(sb *sandboxSpec) { sb.record.Host = true }
}

// OptionUseExternalKey says that somebody else makes the namespace, and names it
// later with SetKey.
func OptionUseExternalKey() SandboxOption {
	return func(sb *sandboxSpec) { sb.record.External = true }
}

// OptionHandover says that somebody else, such as another engine, takes the interfaces to
// the container and gives them their addresses and routes. Until then each waits on the
// host, down and without addresses, under the name that EndpointInfo's record has as
// Interface. Whoever takes it has it: Repair does not bring it back. There are no files
// and no DNS server for such a sandbox.
func OptionHandover() SandboxOption {
	return func(sb *sandboxSpec) { sb.record.Handover = true }
}

// OptionNamespace makes the sandbox of a namespace that is there already, by the path of
// its file, which stays where it is: whoever made it removes it. There are no files for such
// a sandbox unless OptionHostsPath or OptionResolvConfPath names them. Repair deletes it
// once its namespace is gone.
func OptionNamespace(path string) SandboxOption {
	return func(sb *sandboxSpec) {
		if !filepath.IsAbs(path) {
			sb.fail(invalid("namespace %q: want the absolute path of a network namespace, as /run/netns/web", path))
		}
		sb.record.Foreign, sb.record.Key = true, path
	}
}

// OptionRecordWithJoin leaves it to the first join to record a sandbox of OptionNamespace, in
// the one commit that this takes anyway: see CreateOptionRecordWithJoin. Other sandboxes have
// something in the kernel before a join, and are recorded first all the same.
func OptionRecordWithJoin() SandboxOption {
	return func(sb *sandboxSpec) { sb.recordWithJoin = true }
}

// OptionIngress makes the sandbox the one of the cluster's ingress network, which
// this version does not have.
func OptionIngress() SandboxOption {
	return func(sb *sandboxSpec) {
		sb.record.Ingress = true
		sb.fail(unsupported("ingress sandboxes belong to clusters, which this version does not have"))
	}
}

// OptionExposedPorts tells which ports the container serves; it is recorded.
func OptionExposedPorts(exposedPorts []types.TransportPort) SandboxOption {
	ports := portsFrom(exposedPorts)
	return func(sb *sandboxSpec) { sb.record.ExposedPorts = ports }
}

// OptionPortMapping publishes ports of the container on the host, through the endpoint
// that gives the default route for IPv4, or if there is none, for IPv6. When that changes
// the host's ports stay the same.
func OptionPortMapping(portBindings []types.PortBinding) SandboxOption {
	bindings, err := bindingsFrom(portBindings)
	return func(sb *sandboxSpec) {
		if err != nil {
			sb.fail(err)
		}
		sb.record.PortBindings = bindings
	}
}

// OptionGeneric gives values that Sandbox.Labels returns. After a restart they have
// the types that JSON gives them.
func OptionGeneric(generic map[string]interface{}) SandboxOption {
	generic = maps.Clone(generic)
	return func(sb *sandboxSpec) {
		if sb.record.Labels == nil {
			sb.record.Labels = make(map[string]any, len(generic))
		}
		maps.Copy(sb.record.Labels, generic)
	}
}
