// Package portmap reserves ports of the host for containers, and relays by proxy what
// the packet filter cannot translate.
//
// A port is reserved by a socket that is bound to it, so that nobody else on the host can
// take it, and that answers nothing. Wide ranges are the exception: they are only checked
// against the sockets that there are. What was reserved is not stored: after a restart
// the same requests, with the ports that were granted, are made again.
package portmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/portmap/proxy"
)

// Sockets takes ports of the host; the Ports of package kernel do.
type Sockets interface {
	// Do runs fn, and makes Bind and InUse cheap in it.
	Do(fn func() error) error
	// Bind returns the socket that holds a port. In use is Exists, no address of the host
	// Invalid, no sockets of the protocol Unsupported.
	Bind(ctx context.Context, protocol netstate.Protocol, address netip.AddrPort, admit bool) (*os.File, error)
	// Admit makes a socket that was bound to be admitted take connections or datagrams.
	Admit(protocol netstate.Protocol, socket *os.File) error
	// InUse returns the sockets that have one of the ports: those that listen, and for a
	// protocol without connections all. If it is a single port, with their holders.
	InUse(ctx context.Context, protocol netstate.Protocol, ports netstate.PortRange) ([]netstate.PortUse, error)
	// Ephemeral returns the ports that the host hands out by itself, and those of them
	// that it is not to.
	Ephemeral(ctx context.Context) (first, last uint16, reserved []netstate.PortRange, err error)
	// Dial connects from the host to an address.
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Holder is who ports are reserved for.
type Holder struct {
	// ID tells holders apart. One holder may reserve what it holds already, in order to
	// hand it from one Reservation to the next.
	ID string
	// Name is for errors, as `endpoint "web"`.
	Name string
}

// Mapper reserves the ports of one host. It is safe for concurrent use.
type Mapper struct {
	sockets Sockets
	log     *slog.Logger

	mu     sync.Mutex // guards what follows
	claims table
	// next is where the search for a free port goes on.
	next uint16
}

// New returns a mapper that holds nothing.
func New(sockets Sockets, log *slog.Logger) *Mapper {
	return &Mapper{sockets: sockets, log: log, claims: newTable()}
}

// Reservation holds ports until Release. It belongs to one goroutine at a time.
type Reservation struct {
	mapper   *Mapper
	holder   Holder
	bindings []cnm.PortBinding
	assumed  bool
	held     []held
	proxies  []*proxy.Proxy
}

// held is a claim with the container's address and first port behind it.
type held struct {
	claim  *claim
	target netip.AddrPort
}

// Bindings returns what was granted, in the order of the request: HostPort is set, and
// HostPortEnd is zero.
func (r *Reservation) Bindings() []cnm.PortBinding { return r.bindings }

// Reserve takes ports of the host for the bindings. Those of one group get the same
// ports. A binding without an address of the host takes none. In use is Exists, with an
// error that names who has the port; no free port in the range asked for is Exhausted.
func (m *Mapper) Reserve(ctx context.Context, holder Holder, groups [][]cnm.PortBinding) (*Reservation, error) {
	return m.reserve(ctx, &Reservation{mapper: m, holder: holder}, groups)
}

// Assume is Reserve for what was granted before: nobody else gets it here, but there are no
// sockets that hold it.
func (m *Mapper) Assume(ctx context.Context, holder Holder, groups [][]cnm.PortBinding) (*Reservation, error) {
	return m.reserve(ctx, &Reservation{mapper: m, holder: holder, assumed: true}, groups)
}

func (m *Mapper) reserve(ctx context.Context, r *Reservation, groups [][]cnm.PortBinding) (*Reservation, error) {
	if r.assumed {
		for _, group := range groups {
			if err := m.reserveGroup(ctx, r, group); err != nil {
				r.Release()
				return nil, err
			}
		}
		return r, nil
	}
	err := m.sockets.Do(func() error {
		for _, group := range groups {
			if err := m.reserveGroup(ctx, r, group); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		r.Release()
		return nil, m.named(ctx, err)
	}
	return r, nil
}

// takenError says that somebody who is not known here has a port.
type takenError struct {
	protocol netstate.Protocol
	address  netip.AddrPort
}

// Error implements error.
func (e *takenError) Error() string {
	return fmt.Sprintf("port %d is in use by another process", e.address.Port())
}

// named adds to an error the name of the process that has the port, which takes a look at
// all of them.
func (m *Mapper) named(ctx context.Context, err error) error {
	var taken *takenError
	if !errors.As(err, &taken) {
		return err
	}
	port := taken.address.Port()
	// Without a name the error stands as it is.
	used, _ := m.sockets.InUse(ctx, taken.protocol, netstate.PortRange{First: port, Last: port})
	for _, u := range used {
		if overlap(taken.address.Addr(), u.Address.Addr()) {
			return cnm.E(fmt.Sprintf("reserve %s port %s", taken.protocol, taken.address), cnm.Exists,
				fmt.Errorf("port %d is in use by %s", port, u.Holder))
		}
	}
	return err
}

func (m *Mapper) reserveGroup(ctx context.Context, r *Reservation, group []cnm.PortBinding) error {
	candidates, err := m.candidates(ctx, group)
	if err != nil {
		return err
	}
	var busy error
	for {
		port, more := candidates.next()
		if !more {
			return candidates.exhausted(group[0], busy)
		}
		taken, err := m.claimGroup(ctx, r, group, port)
		switch {
		case err == nil:
			m.settle(candidates, port)
			r.held = append(r.held, taken...)
			for _, b := range group {
				if b.HostIP.IsValid() {
					b.HostPort, b.HostPortEnd = port, 0
				}
				r.bindings = append(r.bindings, b)
			}
			return nil
		case !errors.Is(err, cnm.Exists):
			return err
		}
		if busy == nil {
			busy = err
		}
	}
}

// claimGroup takes one port, or as many in a row as the bindings are for, at all
// addresses of the group.
func (m *Mapper) claimGroup(ctx context.Context, r *Reservation, group []cnm.PortBinding, port uint16) (taken []held, err error) {
	defer func() {
		if err != nil {
			m.release(taken)
		}
	}()
	for _, b := range group {
		if !b.HostIP.IsValid() {
			continue
		}
		if int(port)+b.Count()-1 > 65535 {
			return taken, cnm.E("", cnm.Invalid, fmt.Errorf("%d ports from %d on: the highest port is 65535", b.Count(), port))
		}
		wanted := claim{
			holder: r.holder, protocol: netstate.Protocol(b.Protocol), address: b.HostIP, proxied: b.Proxy,
			ports: netstate.PortRange{First: port, Last: port + uint16(b.Count()-1)},
		}
		c, err := m.claim(ctx, wanted, r.assumed)
		if err != nil {
			return taken, err
		}
		taken = append(taken, held{c, netip.AddrPortFrom(b.IP, b.Port)})
	}
	return taken, nil
}

// claim takes the ports of one address, first from the others here and then from the
// rest of the host, unless it is assumed to be free there.
func (m *Mapper) claim(ctx context.Context, wanted claim, assumed bool) (*claim, error) {
	m.mu.Lock()
	taken, shared, err := m.claims.take(wanted)
	m.mu.Unlock()
	if err != nil || shared || assumed {
		return taken, err
	}
	if err := m.bind(ctx, taken); err != nil {
		m.release([]held{{claim: taken}})
		return nil, err
	}
	return taken, nil
}

// widest is how many ports in a row are held by sockets. Of more it would cost too much:
// a socket takes about 1 KiB of the kernel's memory and a descriptor.
const widest = 256

// bind takes the sockets of a claim. For a protocol without sockets in this kernel
// nobody can take the port either.
func (m *Mapper) bind(ctx context.Context, c *claim) error {
	if c.wide() {
		return m.checkFree(ctx, c)
	}
	for port := int(c.ports.First); port <= int(c.ports.Last); port++ {
		address := netip.AddrPortFrom(c.address, uint16(port))
		socket, err := m.sockets.Bind(ctx, c.protocol, address, c.proxied)
		// Without IPv6 nobody comes to all of its addresses.
		if errors.Is(err, cnm.Unsupported) && (!c.proxied || c.address == netip.IPv6Unspecified()) {
			return nil
		}
		if errors.Is(err, cnm.Exists) {
			return c.taken(address)
		}
		if err != nil {
			return err
		}
		c.sockets = append(c.sockets, socket)
	}
	return nil
}

func (c *claim) taken(address netip.AddrPort) error {
	return cnm.E("reserve "+c.subject(), cnm.Exists, &takenError{c.protocol, address})
}

// checkFree refuses a range that a socket of the host is in.
func (m *Mapper) checkFree(ctx context.Context, c *claim) error {
	used, err := m.sockets.InUse(ctx, c.protocol, c.ports)
	if err != nil {
		return err
	}
	for _, u := range used {
		if overlap(c.address, u.Address.Addr()) {
			return c.taken(netip.AddrPortFrom(c.address, u.Address.Port()))
		}
	}
	return nil
}

// Release ends the proxies and gives the ports back. What another reservation of the
// same holder shares stays. Calling it again does nothing.
func (r *Reservation) Release() {
	for _, p := range r.proxies {
		if err := p.Close(); err != nil {
			r.mapper.log.Warn("end userland proxy", "holder", r.holder.Name, "error", err)
		}
	}
	r.mapper.release(r.held)
	r.proxies, r.held = nil, nil
}

func (m *Mapper) release(all []held) {
	var sockets []*os.File
	m.mu.Lock()
	for _, h := range all {
		sockets = append(sockets, m.claims.drop(h.claim)...)
	}
	m.mu.Unlock()
	for _, socket := range sockets {
		if err := socket.Close(); err != nil {
			m.log.Warn("release port", "socket", socket.Name(), "error", err)
		}
	}
}
