package remotestore

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// DefaultPrefix is where keys are kept unless the address says otherwise.
const DefaultPrefix = "libnetwork"

// Bounds of an address. A cluster of more servers than that cannot agree in time.
const (
	mostServers   = 64
	longestPrefix = 256
)

// Address says where a store is.
type Address struct {
	// Servers are host:port, at least one.
	Servers []string
	// Prefix starts all keys; it is not empty, and has no slash at either end.
	Prefix string
}

// String returns the address as it is written.
func (a Address) String() string { return strings.Join(a.Servers, ",") + "/" + a.Prefix }

// ParseAddress reads host:port,host:port/prefix. A server without a port gets the one
// given; no prefix means DefaultPrefix. Anything else is Invalid.
func ParseAddress(text string, port int) (Address, error) {
	text = strings.TrimSpace(text)
	if scheme, rest, ok := strings.Cut(text, "://"); ok {
		return Address{}, cnm.E("", cnm.Invalid, fmt.Errorf(
			"address %q: must not start with a scheme; write %q, and set TLS for an encrypted connection", scheme+"://...", rest))
	}
	servers, prefix, _ := strings.Cut(text, "/")
	out := Address{Prefix: strings.Trim(prefix, "/")}
	if out.Prefix == "" {
		out.Prefix = DefaultPrefix
	}
	if err := checkPrefix(out.Prefix); err != nil {
		return Address{}, cnm.E("", cnm.Invalid, fmt.Errorf("address %q: prefix %q: %w", text, out.Prefix, err))
	}
	for server := range strings.SplitSeq(servers, ",") {
		server, err := withPort(strings.TrimSpace(server), port)
		if err != nil {
			return Address{}, cnm.E("", cnm.Invalid, fmt.Errorf("address %q: %w; write host:port, or several with commas between", text, err))
		}
		out.Servers = append(out.Servers, server)
		if len(out.Servers) > mostServers {
			return Address{}, cnm.E("", cnm.Invalid, fmt.Errorf("address: names more than %d servers", mostServers))
		}
	}
	return out, nil
}

// checkPrefix allows what each kind of server takes as part of a path.
func checkPrefix(prefix string) error {
	if len(prefix) > longestPrefix {
		return fmt.Errorf("is longer than %d bytes", longestPrefix)
	}
	for element := range strings.SplitSeq(prefix, "/") {
		if element == "" || strings.Trim(element, ".") == "" {
			return fmt.Errorf("element %q is no name", element)
		}
	}
	for _, r := range prefix {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
		if !letter && (r < '0' || r > '9') && !strings.ContainsRune("-_./", r) {
			return fmt.Errorf("has %q; use letters, digits, dots, dashes, underlines and slashes", r)
		}
	}
	return nil
}

func withPort(server string, port int) (string, error) {
	host, given, err := net.SplitHostPort(server)
	if err != nil { // there is no port
		host, given = strings.TrimSuffix(strings.TrimPrefix(server, "["), "]"), strconv.Itoa(port)
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", fmt.Errorf("server %q: is not host:port", server)
		}
	}
	if host == "" {
		return "", errors.New("names no server")
	}
	if strings.ContainsAny(host, " \t\r\n@?#%[]") {
		return "", fmt.Errorf("server %q: is no name of a host", server)
	}
	if n, err := strconv.ParseUint(given, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("server %q: port %q is not from 1 to 65535", server, given)
	}
	return net.JoinHostPort(host, given), nil
}
