package api

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// PortMapping publishes ports of a container on the host.
type PortMapping struct {
	// Protocol is "tcp", "udp" or "sctp"; empty is "tcp".
	Protocol string `json:"protocol"`
	// ContainerPort is the container's port. ContainerPortEnd, if it is not zero, ends a
	// range, which is published at as many ports of the host in a row.
	ContainerPort    uint16 `json:"container_port"`
	ContainerPortEnd uint16 `json:"container_port_end,omitempty"`
	// HostIP zero is the default binding address.
	HostIP netip.Addr `json:"host_ip,omitzero"`
	// HostPort zero is any free one. For a single port of the container HostPortEnd ends a
	// range of which one free port is taken.
	HostPort    uint16 `json:"host_port,omitempty"`
	HostPortEnd uint16 `json:"host_port_end,omitempty"`
}

// ParsePortMapping reads [[HOSTIP:]HOSTPORT[-END]:]PORT[-END][/PROTOCOL], as in 80, 8080:80,
// 192.0.2.1:8080:80/udp, 127.0.0.1::80, [2001:db8::1]:8080:80 and 8000-8009:80-89.
func ParsePortMapping(text string) (PortMapping, error) {
	m, err := parsePortMapping(text)
	if err != nil {
		return PortMapping{}, cnm.E(fmt.Sprintf("port %q", text), cnm.Invalid, err)
	}
	return m, nil
}

func parsePortMapping(text string) (m PortMapping, err error) {
	rest, protocol, found := strings.Cut(text, "/")
	m.Protocol = "tcp"
	if found {
		m.Protocol = strings.ToLower(protocol)
	}
	if m.Protocol != "tcp" && m.Protocol != "udp" && m.Protocol != "sctp" {
		return m, fmt.Errorf("protocol %q: want tcp, udp or sctp", protocol)
	}
	container := rest
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		container = rest[i+1:]
		if err := m.parseHost(rest[:i]); err != nil {
			return m, err
		}
	}
	if m.ContainerPort, m.ContainerPortEnd, err = parseRange(container); err != nil {
		return m, fmt.Errorf("container's %w", err)
	}
	return m, m.check()
}

// parseHost reads [HOSTIP:]HOSTPORT[-END], where the port may be empty behind an address.
func (m *PortMapping) parseHost(text string) (err error) {
	ports := text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		address := strings.TrimSuffix(strings.TrimPrefix(text[:i], "["), "]")
		if m.HostIP, err = netip.ParseAddr(address); err != nil {
			return fmt.Errorf("host's address %q: want an IP address; write IPv6 addresses in brackets", text[:i])
		}
		if m.HostIP.Zone() != "" {
			return fmt.Errorf("host's address %q: must not have a zone", text[:i])
		}
		if ports = text[i+1:]; ports == "" {
			return nil
		}
	}
	if m.HostPort, m.HostPortEnd, err = parseRange(ports); err != nil {
		return fmt.Errorf("host's %w", err)
	}
	return nil
}

// parseRange reads PORT or PORT-END; end is zero for a single port.
func parseRange(text string) (first, end uint16, err error) {
	from, to, ranged := strings.Cut(text, "-")
	if first, err = parsePort(from); err != nil {
		return 0, 0, err
	}
	if !ranged {
		return first, 0, nil
	}
	if end, err = parsePort(to); err != nil {
		return 0, 0, err
	}
	if end < first {
		return 0, 0, fmt.Errorf("ports %q: end before they begin", text)
	}
	if end == first {
		end = 0
	}
	return first, end, nil
}

func parsePort(text string) (uint16, error) {
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("port %q: want a number from 1 to 65535", text)
	}
	return uint16(port), nil
}

// check refuses ranges that do not fit together.
func (m *PortMapping) check() error {
	if m.ContainerPortEnd == 0 || m.HostPort == 0 {
		return nil
	}
	container, host := int(m.ContainerPortEnd)-int(m.ContainerPort), 0
	if m.HostPortEnd != 0 {
		host = int(m.HostPortEnd) - int(m.HostPort)
	}
	if container != host {
		return fmt.Errorf("%d ports of the container at %d of the host: must be as many", container+1, host+1)
	}
	return nil
}

// String returns the form that ParsePortMapping reads.
func (m PortMapping) String() string {
	var b strings.Builder
	switch {
	case m.HostIP.IsValid() && m.HostIP.Is6():
		b.WriteString("[" + m.HostIP.String() + "]:")
	case m.HostIP.IsValid():
		b.WriteString(m.HostIP.String() + ":")
	}
	if m.HostPort != 0 {
		b.WriteString(portRange(m.HostPort, m.HostPortEnd))
	}
	if m.HostIP.IsValid() || m.HostPort != 0 {
		b.WriteByte(':')
	}
	b.WriteString(portRange(m.ContainerPort, m.ContainerPortEnd))
	if m.Protocol != "" {
		b.WriteString("/" + m.Protocol)
	}
	return b.String()
}

func portRange(first, end uint16) string {
	if end > first {
		return fmt.Sprintf("%d-%d", first, end)
	}
	return strconv.Itoa(int(first))
}
