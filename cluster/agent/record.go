package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"unicode"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/docker/libnetwork/cnm"
)

// EndpointTable is the table of endpoints, by their ids.
const EndpointTable = "endpoint_table"

// Endpoint is an endpoint as other nodes know it.
type Endpoint struct {
	// Name is empty for an anonymous one.
	Name string
	// ServiceName, ServiceID and VirtualIP are those of the service that it is a task of.
	ServiceName, ServiceID string
	VirtualIP              netip.Addr
	// IP is its address.
	IP netip.Addr
	// Aliases are further names of the service, and TaskAliases of the endpoint itself.
	Aliases, TaskAliases []string
	// Disabled says that it takes no part in its service.
	Disabled bool
}

// Numbers of the record's fields.
const (
	fieldName        = 1
	fieldServiceName = 2
	fieldServiceID   = 3
	fieldVirtualIP   = 4
	fieldIP          = 5
	fieldAliases     = 7
	fieldTaskAliases = 8
	fieldDisabled    = 9
)

// Bounds of what another node may say.
const (
	mostAliases = 256
	longestName = 255
)

// Marshal returns the record's form on the wire.
func (e Endpoint) Marshal() []byte {
	var out []byte
	text := func(number protowire.Number, value string) {
		out = protowire.AppendTag(out, number, protowire.BytesType)
		out = protowire.AppendString(out, value)
	}
	for _, field := range []struct {
		number protowire.Number
		value  string
	}{
		{fieldName, e.Name}, {fieldServiceName, e.ServiceName}, {fieldServiceID, e.ServiceID},
		{fieldVirtualIP, addressText(e.VirtualIP)}, {fieldIP, addressText(e.IP)},
	} {
		if field.value != "" {
			text(field.number, field.value)
		}
	}
	for _, alias := range e.Aliases {
		text(fieldAliases, alias)
	}
	for _, alias := range e.TaskAliases {
		text(fieldTaskAliases, alias)
	}
	if e.Disabled {
		out = protowire.AppendTag(out, fieldDisabled, protowire.VarintType)
		out = protowire.AppendVarint(out, 1)
	}
	return out
}

func addressText(address netip.Addr) string {
	if !address.IsValid() {
		return ""
	}
	return address.String()
}

// Unmarshal reads a record. Fields that are not known are passed over. Invalid is for what
// is malformed, or could not be the name or address of anybody.
func Unmarshal(wire []byte) (Endpoint, error) {
	var e Endpoint
	for len(wire) > 0 {
		number, kind, n := protowire.ConsumeTag(wire)
		if n < 0 {
			return Endpoint{}, malformed(protowire.ParseError(n))
		}
		wire = wire[n:]
		var err error
		switch {
		case kind == protowire.BytesType:
			var value []byte
			if value, n = protowire.ConsumeBytes(wire); n >= 0 {
				err = e.set(number, string(value))
			}
		case kind == protowire.VarintType && number == fieldDisabled:
			var value uint64
			value, n = protowire.ConsumeVarint(wire)
			e.Disabled = value != 0
		default:
			n = protowire.ConsumeFieldValue(number, kind, wire)
		}
		if n < 0 {
			err = protowire.ParseError(n)
		}
		if err != nil {
			return Endpoint{}, malformed(err)
		}
		wire = wire[n:]
	}
	return e, nil
}

func malformed(err error) error { return cnm.E("endpoint of another node", cnm.Invalid, err) }

// set takes a field whose value is bytes.
func (e *Endpoint) set(number protowire.Number, value string) (err error) {
	switch number {
	case fieldName:
		e.Name, err = value, checkName(value)
	case fieldServiceName:
		e.ServiceName, err = value, checkName(value)
	case fieldServiceID:
		e.ServiceID, err = value, checkName(value)
	case fieldVirtualIP:
		e.VirtualIP, err = parseAddress(value)
	case fieldIP:
		e.IP, err = parseAddress(value)
	case fieldAliases:
		e.Aliases, err = appendName(e.Aliases, value)
	case fieldTaskAliases:
		e.TaskAliases, err = appendName(e.TaskAliases, value)
	}
	return err
}

// parseAddress reads an address, which may have a prefix length behind it.
func parseAddress(text string) (netip.Addr, error) {
	if text == "" {
		return netip.Addr{}, nil
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Addr().Unmap(), nil
	}
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("address %.60q: is none", text)
	}
	return address.Unmap(), nil
}

func appendName(list []string, name string) ([]string, error) {
	if len(list) == mostAliases {
		return nil, fmt.Errorf("there are more than %d aliases", mostAliases)
	}
	return append(list, name), checkName(name)
}

// checkName refuses what would be a line or more in a log or a file.
func checkName(name string) error {
	if len(name) > longestName {
		return fmt.Errorf("name %.20q...: is longer than %d bytes", name, longestName)
	}
	for _, r := range name {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return errors.New("a name holds control characters, or is no text")
		}
	}
	return nil
}
