package resolver

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// Bounds of what clients may take.
const (
	// maxQuery is the longest query that is read, in bytes: the longest name and 3 KiB of
	// options. Of a longer datagram the beginning is, which makes no sense.
	maxQuery = 4096
	// maxDatagram is the most that UDP over IPv4 holds, less headers of 20 and 8 bytes
	// (RFC 791, RFC 768).
	maxDatagram = 1<<16 - 1 - 28
	// tcpIdle is how long a connection may be silent (RFC 7766, section 6.2.3), and how
	// long a message may take to come; tcpWrite how long one may take to go.
	tcpIdle  = 10 * time.Second
	tcpWrite = 5 * time.Second
	// tcpPipeline is how many queries of a connection wait for upstreams; then it is not
	// read until one is answered.
	tcpPipeline = 16
)

// packets is a socket that tells senders without allocating, as net.UDPConn does.
type packets interface {
	ReadFromUDPAddrPort(buffer []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(msg []byte, to netip.AddrPort) (int, error)
}

// newPackets wraps what is no net.UDPConn.
func newPackets(conn net.PacketConn) packets {
	if p, ok := conn.(packets); ok {
		return p
	}
	return wrapped{conn}
}

type wrapped struct{ net.PacketConn }

func (w wrapped) ReadFromUDPAddrPort(buffer []byte) (int, netip.AddrPort, error) {
	n, from, err := w.ReadFrom(buffer)
	if err != nil {
		return 0, netip.AddrPort{}, err
	}
	address, ok := from.(*net.UDPAddr)
	if !ok {
		return 0, netip.AddrPort{}, nil // too short to be answered
	}
	return n, address.AddrPort(), nil
}

func (w wrapped) WriteToUDPAddrPort(msg []byte, to netip.AddrPort) (int, error) {
	return w.WriteTo(msg, net.UDPAddrFromAddrPort(to))
}

// serveUDP answers datagrams until the socket is closed, one after the other: only what
// waits for upstreams has a goroutine. A second loop on the socket answers no more of them
// a second, and a single client's a fifth later, as they wake each other.
func (s *Server) serveUDP() {
	in := make([]byte, maxQuery)
	out := make([]byte, 0, ownSize)
	var q query
	for {
		n, from, err := s.udp.ReadFromUDPAddrPort(in)
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.options.Log.Warn("resolver cannot take a datagram", "error", err)
			if !s.pause() {
				return
			}
			continue
		}
		answer, wait := s.handle(out[:0], in[:n], &q, false)
		switch {
		case wait != nil:
			s.group.Go(func() { s.answerLater(wait, from) })
		case len(answer) > 0:
			_, _ = s.udp.WriteToUDPAddrPort(answer, from)
			out = answer
		}
	}
}

// answerLater answers a datagram that waits for an upstream.
func (s *Server) answerLater(w *waiter, to netip.AddrPort) {
	if s.wait(w) {
		answer := s.finish(nil, w.flight.answer, &w.query, false, time.Now())
		_, _ = s.udp.WriteToUDPAddrPort(answer, to)
	}
}

// serveTCP takes connections until the listener is closed.
func (s *Server) serveTCP(l net.Listener) {
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			if s.connections.Add(1) > int64(s.options.MaxConnections) {
				s.connections.Add(-1)
				s.limited.Add(1)
				_ = conn.Close()
				continue
			}
			s.group.Go(func() { newConnection(s, conn).serve() })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			s.options.Log.Warn("resolver cannot take a connection", "error", err)
			if !s.pause() {
				return
			}
		}
	}
}

// connection is a client by TCP. Answers go out as they come (RFC 7766, section 6.2.1.1).
type connection struct {
	server *Server
	conn   net.Conn
	tokens chan struct{} // of those that wait for upstreams
	group  sync.WaitGroup

	mu  sync.Mutex // held while an answer is made and sent, so that there is one at a time
	out []byte
}

func newConnection(s *Server, conn net.Conn) *connection {
	return &connection{server: s, conn: conn, tokens: make(chan struct{}, tcpPipeline)}
}

// serve answers until the client is silent or closes, and then what is under way.
func (c *connection) serve() {
	defer c.server.connections.Add(-1)
	defer func() { _ = c.conn.Close() }()
	stop := context.AfterFunc(c.server.ctx, func() { _ = c.conn.Close() })
	defer stop()
	defer c.group.Wait()
	in := make([]byte, maxQuery)
	reader := bufio.NewReader(c.conn)
	var q query
	for {
		msg, err := c.read(reader, in)
		if err != nil {
			return
		}
		if !c.answer(msg, &q) {
			return
		}
	}
}

// read reads a message; one that is too long ends the connection.
func (c *connection) read(reader *bufio.Reader, in []byte) ([]byte, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(tcpIdle)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(reader, length[:]); err != nil {
		return nil, err
	}
	size := int(binary.BigEndian.Uint16(length[:]))
	if size < headerSize || size > len(in) {
		c.server.malformed.Add(1)
		return nil, errMessage
	}
	_, err := io.ReadFull(reader, in[:size])
	return in[:size], err
}

// answer answers a message, now or later, and reports whether to read on.
func (c *connection) answer(msg []byte, q *query) bool {
	var wait *waiter
	ok := c.send(func(out []byte) []byte {
		out, wait = c.server.handle(out, msg, q, true)
		return out
	})
	if wait == nil {
		return ok
	}
	c.tokens <- struct{}{} // given back soon: each wait has an end
	c.group.Go(func() {
		defer func() { <-c.tokens }()
		if c.server.wait(wait) {
			c.send(func(out []byte) []byte {
				return c.server.finish(out, wait.flight.answer, &wait.query, true, time.Now())
			})
		}
	})
	return true
}

// send makes an answer and sends it, if it is not empty. Who does not take it is let go.
func (c *connection) send(build func(out []byte) []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	answer := build(c.out[:0])
	if len(answer) == 0 {
		return true
	}
	c.out = answer
	framed := binary.BigEndian.AppendUint16(make([]byte, 0, 2+len(answer)), uint16(len(answer)))
	framed = append(framed, answer...)
	err := c.conn.SetWriteDeadline(time.Now().Add(tcpWrite))
	if err == nil {
		_, err = c.conn.Write(framed)
	}
	if err != nil {
		_ = c.conn.Close()
	}
	return err == nil
}
