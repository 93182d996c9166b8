package proxy

import (
	"container/list"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// maxDatagram is the largest payload of UDP over IPv4 (65535 less headers of 20 and 8
// bytes, RFC 791 and RFC 768), rounded up; IPv6's is 20 more.
const maxDatagram = 1<<16 - 1

// relay is the UDP side of a proxy.
type relay struct {
	proxy  *Proxy
	socket socket

	mu    sync.Mutex // guards what follows; nothing is sent or received under it
	flows map[client]*flow
	order *list.List // of flows; the first is the one whose client spoke last
}

// client is who sends: from where, and to which address of the host.
type client struct {
	from netip.AddrPort
	to   netip.Addr // invalid if the socket does not tell
}

// flow is what a client has: a socket of its own to the target.
type flow struct {
	client client
	server net.Conn
	place  *list.Element
	// active is when something was sent last, in nanoseconds since 1970.
	active atomic.Int64
}

func newRelay(p *Proxy, conn *net.UDPConn) *relay {
	return &relay{proxy: p, socket: newSocket(conn), flows: make(map[client]*flow), order: list.New()}
}

// serve takes datagrams from clients until the socket is closed, and then ends the flows.
func (r *relay) serve() {
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, f := range r.flows {
			_ = f.server.Close()
		}
	}()
	buffer := make([]byte, maxDatagram)
	for {
		n, from, err := r.socket.read(buffer)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			r.proxy.options.Log.Warn("userland proxy cannot take a datagram", "error", err)
			if !r.proxy.pause() {
				return
			}
		default:
			r.forward(buffer[:n], from)
		}
	}
}

// forward sends a datagram on. What cannot be sent is lost, as datagrams may be.
func (r *relay) forward(data []byte, from client) {
	f := r.flow(from)
	if f == nil {
		return
	}
	f.active.Store(time.Now().UnixNano())
	r.proxy.received.Add(int64(len(data)))
	_, err := f.server.Write(data)
	if refused(err) {
		// That was about an earlier datagram: this one has not been sent.
		_, err = f.server.Write(data)
	}
	if err != nil && !refused(err) {
		r.end(f) // the next datagram begins anew, perhaps by another route
	}
}

// refused tells the answer of a host where nothing listens, which may change.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// flow returns that of a client, and makes it the last one to be given up.
func (r *relay) flow(from client) *flow {
	r.mu.Lock()
	f := r.flows[from]
	if f != nil {
		r.order.MoveToFront(f.place)
	}
	r.mu.Unlock()
	if f != nil {
		return f
	}
	server, err := r.proxy.dial("udp")
	if err != nil {
		return nil
	}
	f = &flow{client: from, server: server}
	f.active.Store(time.Now().UnixNano())
	r.mu.Lock()
	var oldest *flow
	if len(r.flows) >= r.proxy.options.MaxUDPClients {
		oldest = r.order.Back().Value.(*flow)
	}
	r.flows[from] = f
	f.place = r.order.PushFront(f)
	r.mu.Unlock()
	r.proxy.open.Add(1)
	r.proxy.total.Add(1)
	if oldest != nil {
		r.end(oldest)
	}
	r.proxy.group.Go(func() { r.answer(f) })
	return f
}

// end forgets a flow, if it has not been yet.
func (r *relay) end(f *flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.flows[f.client] != f {
		return
	}
	delete(r.flows, f.client)
	r.order.Remove(f.place)
	r.proxy.open.Add(-1)
	_ = f.server.Close()
}

// answer passes on what the target sends to the client of a flow, until both were silent
// for long.
func (r *relay) answer(f *flow) {
	defer r.end(f)
	buffer := make([]byte, maxDatagram)
	for {
		idle := time.Unix(0, f.active.Load()).Add(r.proxy.options.IdleUDP)
		if err := f.server.SetReadDeadline(idle); err != nil {
			return
		}
		n, err := f.server.Read(buffer)
		switch {
		case err == nil:
			f.active.Store(time.Now().UnixNano())
			if r.socket.write(buffer[:n], f.client) == nil {
				r.proxy.sent.Add(int64(n))
			}
		case errors.Is(err, os.ErrDeadlineExceeded):
			if f.active.Load() <= idle.Add(-r.proxy.options.IdleUDP).UnixNano() {
				return
			}
		case refused(err):
			// The container may be about to start again.
		default:
			return
		}
	}
}

// socket tells which of the host's addresses datagrams were sent to, and answers from it.
type socket interface {
	read(buffer []byte) (int, client, error)
	write(data []byte, to client) error
}

// newSocket asks for the addresses of datagrams, without which those bound to several
// addresses might answer from the wrong one. A socket that does not tell serves too.
func newSocket(conn *net.UDPConn) socket {
	if local, ok := conn.LocalAddr().(*net.UDPAddr); ok && local.IP.To4() != nil {
		s := socket4{ipv4.NewPacketConn(conn)}
		_ = s.SetControlMessage(ipv4.FlagDst, true)
		return s
	}
	s := socket6{ipv6.NewPacketConn(conn)}
	_ = s.SetControlMessage(ipv6.FlagDst, true)
	return s
}

type socket4 struct{ *ipv4.PacketConn }

func (s socket4) read(buffer []byte) (int, client, error) {
	n, control, from, err := s.ReadFrom(buffer)
	if err != nil {
		return 0, client{}, err
	}
	c := client{from: from.(*net.UDPAddr).AddrPort()}
	if control != nil {
		c.to, _ = netip.AddrFromSlice(control.Dst.To4())
	}
	return n, c, nil
}

func (s socket4) write(data []byte, to client) error {
	var control *ipv4.ControlMessage
	if to.to.IsValid() {
		control = &ipv4.ControlMessage{Src: to.to.AsSlice()}
	}
	_, err := s.WriteTo(data, control, net.UDPAddrFromAddrPort(to.from))
	return err
}

type socket6 struct{ *ipv6.PacketConn }

func (s socket6) read(buffer []byte) (int, client, error) {
	n, control, from, err := s.ReadFrom(buffer)
	if err != nil {
		return 0, client{}, err
	}
	c := client{from: from.(*net.UDPAddr).AddrPort()}
	// Of a client with IPv4, which a socket for both has, the address cannot be given
	// back: the answer goes out from the one that the route prefers.
	if control != nil && control.Dst.To4() == nil {
		c.to, _ = netip.AddrFromSlice(control.Dst)
	}
	return n, c, nil
}

func (s socket6) write(data []byte, to client) error {
	var control *ipv6.ControlMessage
	if to.to.IsValid() {
		control = &ipv6.ControlMessage{Src: to.to.AsSlice()}
	}
	_, err := s.WriteTo(data, control, net.UDPAddrFromAddrPort(to.from))
	return err
}
