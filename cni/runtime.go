package cni

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/netlabel"
)

// attachment is what a runtime wants of one interface of a container.
type attachment struct {
	container, ifname, netns string
	// ipv4, ipv6 and mac may be empty, which leaves the choice to the network.
	ipv4, ipv6 netip.Addr
	mac        string
	ports      []api.PortMapping
	// limits are options of the endpoint.
	limits map[string]string
	// dns is what was asked for this container.
	dns types.DNS
	// aliases are names for the whole network.
	aliases []string
}

// Bounds of lists that a runtime gives.
const (
	mostPorts   = 1<<16 - 1 // all that a protocol has
	mostAliases = 256
)

// decodeRuntime reads what is for this container: capabilities, "args", and CNI_ARGS. The
// former win over the latter.
func (c *configuration) decodeRuntime(o *object, r *request) error {
	a := &c.attachment
	if err := c.decodeArgs(r.args); err != nil {
		return err
	}
	if err := c.decodeConventions(o); err != nil {
		return err
	}
	run := o.child("runtimeConfig")
	var ips []string
	if run.take("ips", &ips) {
		a.ipv4, a.ipv6 = netip.Addr{}, netip.Addr{}
		run.addresses("ips", ips, a)
	}
	run.take("mac", &a.mac)
	run.aliases(c.name, a)
	run.ports(a)
	run.bandwidth(a)
	dns := run.child("dns")
	a.dns = takeDNS(dns, "servers")
	if err := dns.done(); err != nil {
		return err
	}
	var sets [][]json.RawMessage
	if run.take("ipRanges", &sets) && len(sets) > 0 {
		c.decodeRanges(run, sets)
	}
	return run.done()
}

// decodeRanges takes the ranges for the network's subnets, if nothing else gives them.
func (c *configuration) decodeRanges(run *object, sets [][]json.RawMessage) {
	n := &c.network
	if len(n.Subnets) > 0 {
		run.refuse("ipRanges", sets, "the configuration names the network's subnets already")
		return
	}
	n.Subnets = run.rangeSets("ipRanges", sets)
	n.given["subnets"] = len(n.Subnets) > 0
	n.IPv6 = slices.ContainsFunc(n.Subnets, func(s subnet) bool { return strings.Contains(s.Subnet, ":") })
	n.IPv4 = slices.ContainsFunc(n.Subnets, func(s subnet) bool { return !strings.Contains(s.Subnet, ":") })
}

// decodeArgs reads CNI_ARGS: IP, MAC, and the names of the pod.
func (c *configuration) decodeArgs(text string) error {
	if text == "" {
		return nil
	}
	values := make(map[string]string)
	for pair := range strings.SplitSeq(text, ";") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return badEnvironment("CNI_ARGS: pair %q: want KEY=VALUE, separated by ';'", pair)
		}
		values[key] = value
	}
	ignore, err := strconv.ParseBool(values["IgnoreUnknown"])
	if err != nil && values["IgnoreUnknown"] != "" {
		return badEnvironment("CNI_ARGS: IgnoreUnknown %q: want 1 or 0", values["IgnoreUnknown"])
	}
	a := &c.attachment
	for _, key := range slices.Sorted(maps.Keys(values)) {
		value := values[key]
		switch key {
		case "IgnoreUnknown", "K8S_POD_INFRA_CONTAINER_ID", "K8S_POD_UID", "K8S_POD_NAMESPACE":
		case "K8S_POD_NAME":
			a.alias(value)
			if space := values["K8S_POD_NAMESPACE"]; space != "" && value != "" {
				a.alias(value + "." + space)
			}
		case "IP":
			for address := range strings.SplitSeq(value, ",") {
				if err := a.address(address); err != "" {
					return badEnvironment("CNI_ARGS: IP %q: %s", address, err)
				}
			}
		case "MAC":
			a.mac = value
		default:
			if !ignore {
				return badEnvironment("CNI_ARGS: key %q: is not known; IgnoreUnknown=1 passes over it", key)
			}
		}
	}
	return nil
}

// decodeConventions reads "args", where only "cni" is ours, and of that what CONVENTIONS.md
// of the specification lists and has a meaning here. It says that the rest may be ignored.
func (c *configuration) decodeConventions(o *object) error {
	args := o.child("args")
	if err := o.firstError(); err != nil {
		return err
	}
	own := args.child("cni")
	var ips []string
	if own.take("ips", &ips) {
		own.addresses("ips", ips, &c.attachment)
	}
	own.take("mac", &c.attachment.mac)
	own.members, args.members = nil, nil
	if err := args.firstError(); err != nil {
		return err
	}
	return own.done()
}

// addresses takes addresses, with the length of a subnet or without.
func (o *object) addresses(key string, texts []string, a *attachment) {
	for _, text := range texts {
		if why := a.address(text); why != "" {
			o.errs = append(o.errs, invalid("key %q with value %q: %s", o.path+key, text, why))
		}
	}
}

// address takes one address, and returns why not.
func (a *attachment) address(text string) string {
	bare, _, _ := strings.Cut(strings.TrimSpace(text), "/")
	address, err := netip.ParseAddr(bare)
	if err != nil || address.Zone() != "" {
		return "want an IP address"
	}
	place := &a.ipv6
	if address = address.Unmap(); address.Is4() {
		place = &a.ipv4
	}
	if place.IsValid() && *place != address {
		return "an interface has one address of each family, and it has " + place.String()
	}
	*place = address
	return ""
}

// aliases takes the capability of that name: a list, or as podman writes it, an object with
// a list for each network.
func (o *object) aliases(network string, a *attachment) {
	var list []string
	var byNetwork map[string][]string
	if json.Unmarshal(o.members["aliases"], &byNetwork) == nil {
		o.take("aliases", &byNetwork)
		list = byNetwork[network]
	} else {
		o.take("aliases", &list)
	}
	for _, alias := range list {
		a.alias(alias)
	}
	if len(a.aliases) > mostAliases {
		o.refuse("aliases", list, "are more than "+strconv.Itoa(mostAliases))
	}
}

// alias takes a name, each once; an empty one is none.
func (a *attachment) alias(name string) {
	if name = strings.TrimSpace(name); name != "" && !slices.Contains(a.aliases, name) {
		a.aliases = append(a.aliases, name)
	}
}

// ports takes the capability "portMappings". Kubernetes lists ports that are not for the
// host with a port of zero: they are passed over.
func (o *object) ports(a *attachment) {
	var mappings []struct {
		HostPort      int    `json:"hostPort"`
		ContainerPort int    `json:"containerPort"`
		Protocol      string `json:"protocol"`
		HostIP        string `json:"hostIP"`
	}
	o.take("portMappings", &mappings)
	if len(mappings) > mostPorts {
		o.errs = append(o.errs, invalid("key %q: has %d entries; want %d at most", o.path+"portMappings", len(mappings), mostPorts))
		return
	}
	for _, m := range mappings {
		protocol := strings.ToLower(m.Protocol)
		if protocol == "" {
			protocol = "tcp"
		}
		switch {
		case m.HostPort == 0:
			continue
		case m.HostPort < 0 || m.HostPort > 65535 || m.ContainerPort < 1 || m.ContainerPort > 65535:
			o.errs = append(o.errs, invalid("key %q with value %d to %d: want ports from 1 to 65535", o.path+"portMappings", m.HostPort, m.ContainerPort))
			continue
		case protocol != "tcp" && protocol != "udp" && protocol != "sctp":
			o.errs = append(o.errs, invalid("key %q with protocol %q: want tcp, udp or sctp", o.path+"portMappings", m.Protocol))
			continue
		}
		out := api.PortMapping{Protocol: protocol, ContainerPort: uint16(m.ContainerPort), HostPort: uint16(m.HostPort)}
		if m.HostIP != "" {
			address, err := netip.ParseAddr(m.HostIP)
			if err != nil || address.Zone() != "" {
				o.errs = append(o.errs, invalid("key %q with hostIP %q: want an IP address", o.path+"portMappings", m.HostIP))
				continue
			}
			out.HostIP = address.Unmap()
		}
		a.ports = append(a.ports, out)
	}
}

// bandwidth takes the capability of that name: bits and bits per second, as the endpoint's
// options have them.
func (o *object) bandwidth(a *attachment) {
	limits := o.child("bandwidth")
	for key, name := range map[string]string{
		"ingressRate": netlabel.EndpointIngress, "ingressBurst": netlabel.EndpointIngressBurst,
		"egressRate": netlabel.EndpointEgress, "egressBurst": netlabel.EndpointEgressBurst,
	} {
		var bits uint64
		if limits.take(key, &bits) && bits > 0 {
			if a.limits == nil {
				a.limits = make(map[string]string)
			}
			a.limits[name] = strconv.FormatUint(bits, 10)
		}
	}
	if err := limits.done(); err != nil {
		o.errs = append(o.errs, err)
	}
}

// takeDNS reads settings of name resolution. The list of servers is called otherwise in the
// configuration and in the capability.
func takeDNS(o *object, servers string) types.DNS {
	var out types.DNS
	search := "search"
	if servers == "servers" {
		search = "searches"
	}
	o.take(servers, &out.Nameservers)
	o.take("domain", &out.Domain)
	o.take(search, &out.Search)
	o.take("options", &out.Options)
	for _, server := range out.Nameservers {
		if _, err := netip.ParseAddr(server); err != nil {
			o.errs = append(o.errs, invalid("key %q with value %q: want an IP address", o.path+servers, server))
		}
	}
	return out
}
