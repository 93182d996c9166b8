package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"sync/atomic"
)

func (p *Proxy) serveTCP(l *net.TCPListener) {
	for {
		client, err := l.AcceptTCP()
		switch {
		case err == nil:
			p.group.Go(func() { p.connect(client) })
		case errors.Is(err, net.ErrClosed):
			return
		default:
			p.options.Log.Warn("userland proxy cannot take a connection", "error", err)
			if !p.pause() {
				return
			}
		}
	}
}

// connect serves one client to its end.
func (p *Proxy) connect(client *net.TCPConn) {
	p.open.Add(1)
	p.total.Add(1)
	defer p.open.Add(-1)
	conn, err := p.dial("tcp")
	if err != nil {
		reset(client)
		return
	}
	server, ok := conn.(*net.TCPConn)
	if !ok {
		p.options.Log.Error("userland proxy: the dialer's connection is not one of TCP")
		reset(client)
		_ = conn.Close()
		return
	}
	both := func() { reset(client); reset(server) }
	stop := context.AfterFunc(p.ctx, both)
	defer stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		half(server, client, &p.received, both)
	}()
	half(client, server, &p.sent, both)
	<-done
	_, _ = client.Close(), server.Close()
}

// half copies one direction, and then tells the receiver that there is no more. If it
// breaks, so does the other direction: a peer that is gone will not read either.
func half(to, from *net.TCPConn, count *atomic.Int64, abort func()) {
	n, err := io.Copy(to, from)
	count.Add(n)
	if err == nil {
		err = to.CloseWrite()
	}
	if err != nil {
		abort()
	}
}

// reset makes the peer see an error and not an orderly end, which would look like all
// of an answer.
func reset(conn *net.TCPConn) {
	_ = conn.SetLinger(0)
	_ = conn.Close()
}
