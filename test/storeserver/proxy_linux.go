package storeserver

import (
	"crypto/tls"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy stands between clients and a server, and can break what goes through it.
type Proxy struct {
	// Address is where clients reach it, host:port.
	Address string

	target   string
	listener net.Listener
	group    sync.WaitGroup

	mu    sync.Mutex // guards what follows
	cut   bool
	mute  bool
	pairs map[net.Conn]net.Conn // client to server
}

// NewProxy starts a proxy to an address. It ends with the test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startProxy(t, listener, target)
}

// NewTLSProxy starts a proxy that clients talk TLS to, and that talks to the server
// without. It asks for the client's certificate.
func NewTLSProxy(t testing.TB, target string, certificates *Certificates) *Proxy {
	t.Helper()
	config := certificates.Client(t)
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, config.RootCAs
	listener, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return startProxy(t, listener, target)
}

func startProxy(t testing.TB, listener net.Listener, target string) *Proxy {
	t.Helper()
	p := &Proxy{Address: listener.Addr().String(), target: target, listener: listener, pairs: make(map[net.Conn]net.Conn)}
	p.group.Go(p.accept)
	t.Cleanup(func() {
		p.Cut()
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		p.group.Wait()
	})
	return p
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.target)
		p.mu.Lock()
		if err != nil || p.cut {
			_ = client.Close()
			if err == nil {
				_ = server.Close()
			}
			p.mu.Unlock()
			continue
		}
		p.pairs[client] = server
		p.group.Go(func() { p.copy(server, client, false) })
		p.group.Go(func() { p.copy(client, server, true) })
		p.mu.Unlock()
	}
}

// copy passes on what one side says, until it or the connection ends.
func (p *Proxy) copy(to, from net.Conn, answers bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		p.mu.Lock()
		mute := p.mute && answers
		p.mu.Unlock()
		if n > 0 && !mute {
			if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
}

// Break ends all connections; new ones are let through.
func (p *Proxy) Break() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end()
}

func (p *Proxy) end() {
	for client, server := range p.pairs {
		_ = client.Close()
		_ = server.Close()
	}
	clear(p.pairs)
}

// Cut ends all connections, and lets none through until Mend.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = true
	p.end()
}

// Mend takes Cut and Mute back.
func (p *Proxy) Mend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut, p.mute = false, false
	p.end() // a stream with a hole in it is of no use
}

// Mute keeps answers back while requests go through, until Mend.
func (p *Proxy) Mute() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute = true
}

// Trouble breaks connections and keeps back answers at random, a few times a second,
// until done is closed.
func (p *Proxy) Trouble(done <-chan struct{}) {
	for {
		select {
		case <-done:
			p.Mend()
			return
		case <-time.After(20*time.Millisecond + rand.N(150*time.Millisecond)):
		}
		if rand.IntN(2) == 0 {
			p.Break()
			continue
		}
		p.Mute()
		time.Sleep(rand.N(30 * time.Millisecond))
		p.Mend()
	}
}
