package networkdb

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// dialTimeout bounds what it takes to reach a node by a stream, so that one that is
	// cut off does not hold up a worker: time for two lost packets.
	dialTimeout = 3 * time.Second
	// streamTimeout bounds the life of a stream that this node began.
	streamTimeout = 10 * time.Second
)

// meter is a transport that counts, and bounds the time that streams take: memberlist
// writes to them without a deadline.
type meter struct {
	memberlist.Transport
	// dial, if it is not nil, connects in the transport's place.
	dial                                       func(ctx context.Context, network, address string) (net.Conn, error)
	packets, packetBytes, streams, streamBytes atomic.Uint64
}

var _ memberlist.NodeAwareTransport = (*meter)(nil)

// WriteTo implements memberlist.Transport.
func (m *meter) WriteTo(b []byte, address string) (time.Time, error) {
	return m.WriteToAddress(b, memberlist.Address{Addr: address})
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (m *meter) WriteToAddress(b []byte, address memberlist.Address) (time.Time, error) {
	m.packets.Add(1)
	m.packetBytes.Add(uint64(len(b)))
	if aware, ok := m.Transport.(memberlist.NodeAwareTransport); ok {
		return aware.WriteToAddress(b, address)
	}
	return m.Transport.WriteTo(b, address.Addr)
}

// DialTimeout implements memberlist.Transport.
func (m *meter) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	return m.DialAddressTimeout(memberlist.Address{Addr: address}, timeout)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (m *meter) DialAddressTimeout(address memberlist.Address, timeout time.Duration) (net.Conn, error) {
	timeout = min(timeout, dialTimeout)
	var conn net.Conn
	var err error
	aware, ok := m.Transport.(memberlist.NodeAwareTransport)
	switch {
	case m.dial != nil:
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		conn, err = m.dial(ctx, "tcp", address.Addr)
		cancel()
	case ok:
		conn, err = aware.DialAddressTimeout(address, timeout)
	default:
		conn, err = m.Transport.DialTimeout(address.Addr, timeout)
	}
	if err != nil {
		return nil, err
	}
	m.streams.Add(1)
	if err := conn.SetDeadline(time.Now().Add(streamTimeout)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return &meteredConn{Conn: conn, written: &m.streamBytes}, nil
}

type meteredConn struct {
	net.Conn
	written *atomic.Uint64
}

// Write implements io.Writer.
func (c *meteredConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(uint64(n)) //nolint:gosec // never negative
	return n, err
}
