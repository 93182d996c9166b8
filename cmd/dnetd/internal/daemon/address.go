package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
)

// defaultTCP is what tcp:// without an address means.
const defaultTCP = "127.0.0.1:2385"

// maxSocketPath is how long the path of a Unix socket may be: sun_path of unix(7), less
// its zero byte.
const maxSocketPath = 107

// network is a kind of address.
type network string

const (
	unixNetwork network = "unix"
	tcpNetwork  network = "tcp"
	// activated are the sockets that systemd has opened.
	activated network = "fd"
)

// address is where to listen.
type address struct {
	network network
	// where is the path of a Unix socket, or the host and port.
	where string
	// loopback says that only this machine can reach it.
	loopback bool
}

// String is the form that parseAddress reads.
func (a address) String() string { return string(a.network) + "://" + a.where }

// parseAddress reads unix:///path, tcp://[address][:port] and fd://.
func parseAddress(text string) (address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	fail := func(format string, params ...any) (address, error) {
		return address{}, cnm.E(fmt.Sprintf("host %q", text), cnm.Invalid, fmt.Errorf(format, params...))
	}
	switch {
	case !found:
		return fail("want unix:///path, tcp://address:port or fd://")
	case scheme == string(activated) && rest == "":
		return address{network: activated}, nil
	case scheme == string(activated):
		return fail("fd:// stands for all sockets of systemd, and takes no name")
	case scheme == string(unixNetwork):
		if !filepath.IsAbs(rest) || filepath.Clean(rest) != rest {
			return fail("want an absolute path in its shortest form, as in %s", settings.DefaultHost)
		}
		if len(rest) > maxSocketPath {
			return fail("the path has %d bytes; a socket's has %d at most", len(rest), maxSocketPath)
		}
		return address{network: unixNetwork, where: rest, loopback: true}, nil
	case scheme == string(tcpNetwork):
		a, err := parseTCP(rest)
		if err != nil {
			return fail("%w", err)
		}
		return a, nil
	}
	return fail("scheme %q: want unix, tcp or fd", scheme)
}

func parseTCP(rest string) (address, error) {
	if rest == "" {
		rest = defaultTCP
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return address{}, errors.New("want an address and a port, as in tcp://" + defaultTCP)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(number, 10) != port {
		return address{}, fmt.Errorf("port %q: want a number from 0 to 65535", port)
	}
	a := address{network: tcpNetwork, where: rest}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "localhost":
		a.where, a.loopback = net.JoinHostPort("127.0.0.1", port), true
	case host == "":
	case err != nil:
		return address{}, fmt.Errorf("%q: want an IP address or localhost", host)
	default:
		a.loopback = ip.Unmap().IsLoopback()
	}
	return a, nil
}

// parseAddresses reads all hosts and refuses what may not be listened at: beyond the
// machine, whoever reaches the API is root on it.
func parseAddresses(hosts []string, secured bool) ([]address, error) {
	var all []address
	seen := make(map[address]bool)
	for _, host := range hosts {
		a, err := parseAddress(host)
		if err != nil {
			return nil, err
		}
		if !a.loopback && a.network == tcpNetwork && !secured {
			return nil, refuseOpen(a.String())
		}
		if seen[a] {
			return nil, cnm.E(fmt.Sprintf("host %q", host), cnm.Invalid, errors.New("is given twice"))
		}
		seen[a] = true
		all = append(all, a)
	}
	return all, nil
}

func refuseOpen(where string) error {
	return cnm.E("listen at "+where, cnm.Forbidden, errors.New(
		"other machines can reach it, and whoever reaches it is root here: give tlscacert, tlscert and tlskey, or listen at a loopback address"))
}
