package command

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"unicode"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// longestName is what a name may have, in bytes: that of a DNS name.
const longestName = 253

// invalid returns an error about what was given for something.
func invalid(what, given, want string) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf("%s %q: %s", what, given, want))
}

// checkName refuses what cannot be a name.
func checkName(what, name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return invalid(what, name, "must not be empty")
	case len(name) > longestName:
		return invalid(what, name[:12]+"...", fmt.Sprintf("is longer than %d bytes", longestName))
	case strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }):
		return invalid(what, name, "must not have spaces or characters that cannot be printed")
	case strings.HasPrefix(name, "-"):
		return invalid(what, name, "must not begin with a dash")
	}
	return nil
}

// checkNames checks several names of one kind.
func checkNames(what string, names []string) error {
	for _, name := range names {
		if err := checkName(what, name); err != nil {
			return err
		}
	}
	return nil
}

// parseAddress reads an IP address without a zone.
func parseAddress(what, text string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return netip.Addr{}, invalid(what, text, "want an IP address, such as 172.18.0.10 or fd00::10")
	}
	return address.Unmap(), nil
}

// parseAddresses reads at most one address of each family.
func parseAddresses(what string, texts []string) (v4, v6 netip.Addr, err error) {
	for _, text := range texts {
		address, err := parseAddress(what, text)
		if err != nil {
			return v4, v6, err
		}
		to := &v4
		if address.Is6() {
			to = &v6
		}
		if to.IsValid() {
			return v4, v6, invalid(what, text, "there is one of this family already: "+to.String())
		}
		*to = address
	}
	return v4, v6, nil
}

// checkServers checks the addresses of name servers.
func checkServers(texts []string) error {
	for _, text := range texts {
		if _, err := parseAddress("name server", text); err != nil {
			return err
		}
	}
	return nil
}

// parseSubnet reads a prefix in CIDR form, without bits of a host.
func parseSubnet(what, text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, invalid(what, text, "want an address and a length, such as 172.18.0.0/16 or fd00:1::/64")
	}
	if prefix != prefix.Masked() {
		return netip.Prefix{}, invalid(what, text, "has bits of a host; did you mean "+prefix.Masked().String()+"?")
	}
	return prefix, nil
}

// parsePairs reads key=value pairs; a key without a value has an empty one.
func parsePairs(what string, texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, text := range texts {
		key, value, _ := strings.Cut(text, "=")
		if strings.TrimSpace(key) == "" {
			return nil, invalid(what, text, "want key=value")
		}
		out[key] = value
	}
	return out, nil
}

// splitOptions divides options at commas, as in 2017: a=1,b=2. What has no = after a comma
// belongs to the value before.
func splitOptions(texts []string) (out []string) {
	for _, text := range texts {
		for i, piece := range strings.Split(text, ",") {
			if i > 0 && !strings.Contains(piece, "=") {
				out[len(out)-1] += "," + piece
				continue
			}
			out = append(out, piece)
		}
	}
	return out
}

// parsePorts reads ports to publish.
func parsePorts(texts []string) (out []api.PortMapping, err error) {
	for _, text := range texts {
		port, err := api.ParsePortMapping(text)
		if err != nil {
			return nil, err
		}
		out = append(out, port)
	}
	return out, nil
}

// parseLinks reads aliases of the form container:alias, as alias to container.
func parseLinks(texts []string) (map[string]string, error) {
	out := map[string]string{}
	for _, text := range texts {
		container, alias, found := strings.Cut(text, ":")
		if !found || container == "" || alias == "" || strings.Contains(alias, ":") {
			return nil, invalid("alias", text, "want container:alias")
		}
		if err := errors.Join(checkName("alias", alias), checkName("container of alias", container)); err != nil {
			return nil, err
		}
		out[alias] = container
	}
	if len(out) == 0 {
		return nil, nil
	}
	return out, nil
}

// checkMAC refuses what is no hardware address of Ethernet, for one host.
func checkMAC(text string) error {
	if text == "" {
		return nil
	}
	mac, err := net.ParseMAC(text)
	if err != nil || len(mac) != 6 {
		return invalid("MAC address", text, "want six bytes, such as 02:42:ac:12:00:02")
	}
	if mac[0]&1 != 0 {
		return invalid("MAC address", text, "is for groups; the first byte must be even")
	}
	return nil
}

// target is where a packet is to go.
type target struct {
	host     string
	port     uint16
	protocol string
}

// parseTarget reads HOST:PORT[/PROTOCOL], where an IPv6 address is in brackets.
func parseTarget(text string) (target, error) {
	rest, protocol, found := strings.Cut(text, "/")
	if !found {
		protocol = "tcp"
	}
	protocol = strings.ToLower(protocol)
	host, port, err := net.SplitHostPort(rest)
	if err != nil || host == "" {
		return target{}, invalid("destination", text, "want a name or an address with a port, such as web:80, web:53/udp or [fd00::2]:80")
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return target{}, invalid("destination", text, "the port must be a number from 1 to 65535")
	}
	if protocol != "tcp" && protocol != "udp" && protocol != "sctp" {
		return target{}, invalid("destination", text, "the protocol must be tcp, udp or sctp")
	}
	return target{host, uint16(number), protocol}, checkName("destination", host)
}

// splitService divides SERVICE[.NETWORK] at the last dot, as in 2017.
func splitService(text string) (service, network string, err error) {
	service = text
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		service, network = text[:i], text[i+1:]
		if network == "" {
			return "", "", invalid("service", text, "want SERVICE or SERVICE.NETWORK")
		}
	}
	return service, network, checkName("service", service)
}
