package netstate

import (
	"fmt"
	"net"
)

// MAC is an Ethernet hardware address as a comparable value. The zero MAC means
// that none is asked for.
type MAC [6]byte

// ParseMAC reads an address such as 02:42:ac:11:00:02.
func ParseMAC(s string) (MAC, error) {
	hw, err := net.ParseMAC(s)
	if err != nil {
		return MAC{}, fmt.Errorf("MAC address %q: want six hexadecimal bytes, as in 02:42:ac:11:00:02", s)
	}
	return MACFrom(hw)
}

// MACFrom converts a net.HardwareAddr; one that is empty gives the zero MAC.
func MACFrom(hw net.HardwareAddr) (MAC, error) {
	var m MAC
	if len(hw) == 0 {
		return m, nil
	}
	if len(hw) != len(m) {
		return m, fmt.Errorf("MAC address %q: has %d bytes, want 6", hw, len(hw))
	}
	copy(m[:], hw)
	return m, nil
}

// IsZero reports whether no address is asked for.
func (m MAC) IsZero() bool { return m == MAC{} }

// HardwareAddr returns a copy in the form of package net; nil for the zero MAC.
func (m MAC) HardwareAddr() net.HardwareAddr {
	if m.IsZero() {
		return nil
	}
	return append(net.HardwareAddr(nil), m[:]...)
}

// String returns the usual colon form; empty for the zero MAC.
func (m MAC) String() string { return m.HardwareAddr().String() }

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	parsed, err := ParseMAC(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
