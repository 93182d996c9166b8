package libnetwork

import (
	"encoding"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// This file turns the loosely typed values of the public API into those of the
// records. Nothing behind it sees the former.

// optionMap accepts any map with string keys, such as options.Generic.
func optionMap(value any) (map[string]any, error) {
	v := reflect.ValueOf(value)
	if !v.IsValid() {
		return nil, nil
	}
	if v.Kind() != reflect.Map || v.Type().Key().Kind() != reflect.String {
		return nil, invalid("value of type %T: want a map with string keys", value)
	}
	out := make(map[string]any, v.Len())
	for it := v.MapRange(); it.Next(); {
		out[it.Key().String()] = it.Value().Interface()
	}
	return out, nil
}

// optionText accepts what has one plain text form.
func optionText(value any) (string, error) {
	switch v := value.(type) {
	case string:
		return v, nil
	case net.IP:
		return v.String(), nil
	case *net.IPNet:
		if v == nil {
			return "", nil
		}
		return v.String(), nil
	case net.HardwareAddr:
		return v.String(), nil
	case encoding.TextMarshaler:
		text, err := v.MarshalText()
		return string(text), err
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Bool, reflect.String, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return fmt.Sprint(value), nil
	}
	return "", invalid("value of type %T: want text, a number, true or false, or an address", value)
}

func portsFrom(ports []types.TransportPort) []cnm.Port {
	var out []cnm.Port
	for _, p := range ports {
		out = append(out, cnm.Port{Protocol: uint8(p.Proto), Port: p.Port})
	}
	return out
}

func portsTo(ports []cnm.Port) []types.TransportPort {
	var out []types.TransportPort
	for _, p := range ports {
		out = append(out, types.TransportPort{Proto: types.Protocol(p.Protocol), Port: p.Port})
	}
	return out
}

func bindingsFrom(bindings []types.PortBinding) ([]cnm.PortBinding, error) {
	var out []cnm.PortBinding
	for _, b := range bindings {
		ip, err := addrFrom(b.IP)
		if err != nil {
			return nil, err
		}
		hostIP, err := addrFrom(b.HostIP)
		if err != nil {
			return nil, err
		}
		if err := checkBinding(b); err != nil {
			return nil, fmt.Errorf("port binding %s: %w", b.String(), err)
		}
		binding := cnm.PortBinding{
			Protocol: uint8(b.Proto), IP: ip, Port: b.Port,
			HostIP: hostIP, HostPort: b.HostPort, HostPortEnd: b.HostPortEnd,
		}
		if binding.HostPortEnd == binding.HostPort {
			binding.HostPortEnd = 0
		}
		if last := len(out) - 1; last >= 0 && follows(out[last], binding) {
			out[last].PortEnd = binding.Port
			continue
		}
		out = append(out, binding)
	}
	return out, nil
}

func checkBinding(b types.PortBinding) error {
	switch {
	case b.Proto != types.TCP && b.Proto != types.UDP && b.Proto != types.SCTP:
		return invalid("protocol %s has no ports; want tcp, udp or sctp", b.Proto)
	case b.Port == 0:
		return invalid("the container's port is 0; want 1 to 65535")
	case b.HostPortEnd != 0 && b.HostPortEnd < b.HostPort:
		return invalid("the range of host ports ends before it starts")
	case b.HostPort == 0 && b.HostPortEnd != 0:
		return invalid("the range of host ports starts at 0; want 1 to 65535, or no range")
	}
	return nil
}

// follows reports whether a binding goes on where another ends, on both sides: many in a
// row are one range.
func follows(before, next cnm.PortBinding) bool {
	count := uint16(before.Count())
	return next.HostPort != 0 && next.HostPortEnd == 0 && before.HostPortEnd == 0 &&
		before.Protocol == next.Protocol && before.IP == next.IP && before.HostIP == next.HostIP &&
		next.Port > before.Port && next.Port-before.Port == count && next.HostPort-before.HostPort == count && next.HostPort > before.HostPort
}

func bindingsTo(bindings []cnm.PortBinding) []types.PortBinding {
	var out []types.PortBinding
	for _, b := range bindings {
		for i := range uint16(b.Count()) {
			one := types.PortBinding{Proto: types.Protocol(b.Protocol), IP: ipTo(b.IP), Port: b.Port + i, HostIP: ipTo(b.HostIP)}
			if b.HostPort != 0 {
				one.HostPort, one.HostPortEnd = b.HostPort+i, max(b.HostPort+i, b.HostPortEnd)
			}
			out = append(out, one)
		}
	}
	return out
}

// addrFrom gives the zero Addr for an empty net.IP.
func addrFrom(ip net.IP) (netip.Addr, error) {
	if len(ip) == 0 {
		return netip.Addr{}, nil
	}
	address, ok := netip.AddrFromSlice(ip)
	if !ok {
		return netip.Addr{}, invalid("IP address of %d bytes: want 4 or 16", len(ip))
	}
	return address.Unmap(), nil
}

// ipTo gives nil for the zero Addr.
func ipTo(address netip.Addr) net.IP {
	if !address.IsValid() {
		return nil
	}
	return net.IP(address.AsSlice())
}

// ipNetTo keeps the host part, and gives nil for the zero Prefix.
func ipNetTo(prefix netip.Prefix) *net.IPNet {
	if !prefix.IsValid() {
		return nil
	}
	return &net.IPNet{
		IP:   ipTo(prefix.Addr()),
		Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen()),
	}
}

func ipNetsTo(prefixes []netip.Prefix) []*net.IPNet {
	var out []*net.IPNet
	for _, p := range prefixes {
		out = append(out, ipNetTo(p))
	}
	return out
}

// linkLocalFrom accepts addresses from 169.254.0.0/16 (RFC 3927) and fe80::/10
// (RFC 4291 section 2.5.6).
func linkLocalFrom(ips []net.IP) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, ip := range ips {
		address, err := addrFrom(ip)
		if err != nil {
			return nil, err
		}
		if !address.IsLinkLocalUnicast() {
			return nil, invalid("link-local address %q: is neither in 169.254.0.0/16 nor in fe80::/10", address)
		}
		bits := 64
		if address.Is4() {
			bits = 16
		}
		prefix := netip.PrefixFrom(address, bits)
		if slices.Contains(out, prefix) {
			return nil, invalid("link-local address %q: is given twice", address)
		}
		out = append(out, prefix)
	}
	return out, nil
}
