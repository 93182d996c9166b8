package types

import (
	"net"
	"strconv"
	"strings"
)

// TransportPort is a port of a transport protocol.
type TransportPort struct {
	Proto Protocol
	Port  uint16
}

// Equal reports whether both are the same port. Nil equals only nil.
func (t *TransportPort) Equal(o *TransportPort) bool {
	if t == nil || o == nil {
		return t == o
	}
	return *t == *o
}

// GetCopy returns a copy; that of nil is the zero value.
func (t *TransportPort) GetCopy() TransportPort {
	if t == nil {
		return TransportPort{}
	}
	return *t
}

// String returns the form "tcp/80".
func (t *TransportPort) String() string {
	if t == nil {
		return "<nil>"
	}
	return t.Proto.String() + "/" + strconv.Itoa(int(t.Port))
}

// FromString sets t from the form that String returns. On an error, which is a
// BadRequestError, t stays as it was.
func (t *TransportPort) FromString(s string) error {
	proto, port, ok := strings.Cut(s, "/")
	if !ok {
		return BadRequestErrorf("transport port %q: not of the form \"tcp/80\"", s)
	}
	var out TransportPort
	var err error
	if out.Proto, err = parseProtocol(proto); err != nil {
		return BadRequestErrorf("transport port %q: %w", s, err)
	}
	if out.Port, err = parsePort(port); err != nil {
		return BadRequestErrorf("transport port %q: %w", s, err)
	}
	*t = out
	return nil
}

// PortBinding publishes a container's port on the host.
type PortBinding struct {
	Proto Protocol
	// IP is the container's address; nil means the endpoint's own.
	IP net.IP
	// Port is the container's port.
	Port uint16
	// HostIP is the host's address; nil means the default binding address.
	HostIP net.IP
	// HostPort is the host's port; 0 means any free one.
	HostPort uint16
	// HostPortEnd ends the range that starts at HostPort, of which one free port is
	// taken. 0 means the same as HostPort: that port alone.
	HostPortEnd uint16
}

// HostAddr returns the host's side as *net.TCPAddr, *net.UDPAddr or *SCTPAddr. A
// protocol without ports is an ErrInvalidProtocolBinding.
func (p PortBinding) HostAddr() (net.Addr, error) { return address(p.Proto, p.HostIP, p.HostPort) }

// ContainerAddr returns the container's side, as HostAddr does the host's.
func (p PortBinding) ContainerAddr() (net.Addr, error) { return address(p.Proto, p.IP, p.Port) }

func address(proto Protocol, ip net.IP, port uint16) (net.Addr, error) {
	ip = GetIPCopy(ip)
	switch proto {
	case TCP:
		return &net.TCPAddr{IP: ip, Port: int(port)}, nil
	case UDP:
		return &net.UDPAddr{IP: ip, Port: int(port)}, nil
	case SCTP:
		return &SCTPAddr{IP: ip, Port: int(port)}, nil
	default:
		return nil, ErrInvalidProtocolBinding(proto.String())
	}
}

// GetCopy returns a copy that shares no memory; that of nil is the zero value.
func (p *PortBinding) GetCopy() PortBinding {
	if p == nil {
		return PortBinding{}
	}
	out := *p
	out.IP = GetIPCopy(p.IP)
	out.HostIP = GetIPCopy(p.HostIP)
	return out
}

// Equal reports whether both publish the same port in the same way: the 4-byte and
// 16-byte forms of an IPv4 address are the same, and so are an absent HostPortEnd
// and one that equals HostPort. Nil equals only nil.
func (p *PortBinding) Equal(o *PortBinding) bool {
	if p == nil || o == nil {
		return p == o
	}
	return p.Proto == o.Proto && p.Port == o.Port && p.HostPort == o.HostPort &&
		p.lastHostPort() == o.lastHostPort() && p.IP.Equal(o.IP) && p.HostIP.Equal(o.HostIP)
}

func (p *PortBinding) lastHostPort() uint16 {
	if p.HostPortEnd == 0 {
		return p.HostPort
	}
	return p.HostPortEnd
}

// String returns the protocol, the container's side and the host's side, as in
// "tcp/172.17.0.2:80/192.0.2.1:8080". Absent addresses are empty, IPv6 addresses
// are in brackets, and a range of host ports is written 8080-8090.
func (p *PortBinding) String() string {
	if p == nil {
		return "<nil>"
	}
	hostPort := strconv.Itoa(int(p.HostPort))
	if last := p.lastHostPort(); last != p.HostPort {
		hostPort += "-" + strconv.Itoa(int(last))
	}
	return p.Proto.String() + "/" + joinHostPort(p.IP, strconv.Itoa(int(p.Port))) +
		"/" + joinHostPort(p.HostIP, hostPort)
}

// FromString sets p from the form that String returns; IPv6 addresses may also
// come without brackets. On an error, which is a BadRequestError, p stays as it was.
func (p *PortBinding) FromString(s string) error {
	out, err := parsePortBinding(s)
	if err != nil {
		return BadRequestErrorf("port binding %q: %w", s, err)
	}
	*p = out
	return nil
}

func parsePortBinding(s string) (PortBinding, error) {
	var out PortBinding
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return out, BadRequestErrorf("not of the form \"tcp/172.17.0.2:80/192.0.2.1:8080\"")
	}
	var err error
	if out.Proto, err = parseProtocol(parts[0]); err != nil {
		return out, err
	}
	ip, port, err := splitHostPort(parts[1])
	if err != nil {
		return out, err
	}
	out.IP = ip
	if out.Port, err = parsePort(port); err != nil {
		return out, err
	}
	if out.HostIP, port, err = splitHostPort(parts[2]); err != nil {
		return out, err
	}
	first, last, isRange := strings.Cut(port, "-")
	if out.HostPort, err = parsePort(first); err != nil || !isRange {
		return out, err
	}
	if out.HostPortEnd, err = parsePort(last); err != nil {
		return out, err
	}
	if out.HostPort == 0 || out.HostPortEnd < out.HostPort {
		return out, BadRequestErrorf("port range %q: must start above 0 and not end before its start", port)
	}
	return out, nil
}

func splitHostPort(s string) (net.IP, string, error) {
	colon := strings.LastIndexByte(s, ':')
	if colon < 0 {
		return nil, "", BadRequestErrorf("%q: has no port; write address:port or :port", s)
	}
	host, port := s[:colon], s[colon+1:]
	if host == "" {
		return nil, port, nil
	}
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
	}
	ip := net.ParseIP(host)
	if ip == nil {
		return nil, "", BadRequestErrorf("%q: not an IP address", host)
	}
	return GetMinimalIP(ip), port, nil
}

func parsePort(s string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, BadRequestErrorf("port %q: not a number from 0 to 65535", s)
	}
	return uint16(port), nil
}
