package networkdb_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// lan carries packets and streams between transports in memory, with delay, loss and cuts.
type lan struct {
	// delay is the longest time a packet takes; each takes a random part of it.
	delay time.Duration

	mu    sync.Mutex
	loss  float64
	hosts map[string]*host // by address
	side  map[string]int   // of hosts: those of different sides do not reach each other
	conns map[*cable]bool

	// tap, if there is one, sees all that is sent.
	tap func([]byte)
}

func (l *lan) watch(b []byte) {
	if l.tap != nil {
		l.tap(b)
	}
}

func newLan(delay time.Duration) *lan {
	return &lan{delay: delay, hosts: map[string]*host{}, side: map[string]int{}, conns: map[*cable]bool{}}
}

// host is one transport.
type host struct {
	lan      *lan
	ip       string
	incoming chan *memberlist.Packet
	streams  chan net.Conn
	done     chan struct{}
	once     sync.Once
}

const lanPort = 7946

// plug connects a host; one with the same address is unplugged.
func (l *lan) plug(number int) *host {
	h := &host{
		lan: l, ip: fmt.Sprintf("10.0.%d.%d", number/250, number%250+1), done: make(chan struct{}),
		incoming: make(chan *memberlist.Packet, 64), streams: make(chan net.Conn),
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hosts[h.address()] = h
	return h
}

func (h *host) address() string { return fmt.Sprintf("%s:%d", h.ip, lanPort) }

// partition puts the hosts, by their numbers in plug, on sides; others are on side zero.
func (l *lan) partition(sides map[int]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.side)
	for number, side := range sides {
		l.side[fmt.Sprintf("10.0.%d.%d:%d", number/250, number%250+1, lanPort)] = side
	}
	for c := range l.conns {
		if l.side[c.from] != l.side[c.to] {
			_ = c.Close()
		}
	}
}

func (l *lan) lose(part float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loss = part
}

// reach returns the host at the address, or nil.
func (l *lan) reach(from, to string) *host {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.side[from] != l.side[to] {
		return nil
	}
	return l.hosts[to]
}

func (l *lan) someDelay() time.Duration { return l.delay/2 + rand.N(l.delay/2+1) }

func (h *host) FinalAdvertiseAddr(string, int) (net.IP, int, error) {
	return net.ParseIP(h.ip).To4(), lanPort, nil
}

func (h *host) WriteTo(b []byte, to string) (time.Time, error) {
	now := time.Now()
	h.lan.watch(b)
	h.lan.mu.Lock()
	lost := rand.Float64() < h.lan.loss
	h.lan.mu.Unlock()
	if lost {
		return now, nil
	}
	packet := &memberlist.Packet{Buf: append([]byte(nil), b...), From: &net.UDPAddr{IP: net.ParseIP(h.ip), Port: lanPort}}
	time.AfterFunc(h.lan.someDelay(), func() {
		other := h.lan.reach(h.address(), to)
		if other == nil {
			return
		}
		packet.Timestamp = time.Now()
		select {
		case other.incoming <- packet:
		case <-other.done:
		}
	})
	return now, nil
}

func (h *host) PacketCh() <-chan *memberlist.Packet { return h.incoming }

func (h *host) StreamCh() <-chan net.Conn { return h.streams }

// cable is a stream that a partition ends.
type cable struct {
	net.Conn
	lan      *lan
	from, to string
}

func (c *cable) Write(b []byte) (int, error) {
	c.lan.watch(b)
	return c.Conn.Write(b)
}

func (c *cable) Close() error {
	err := c.Conn.Close()
	go func() { // partition closes with the lock held
		c.lan.mu.Lock()
		defer c.lan.mu.Unlock()
		delete(c.lan.conns, c)
	}()
	return err
}

func (h *host) DialTimeout(to string, timeout time.Duration) (net.Conn, error) {
	time.Sleep(h.lan.someDelay())
	other := h.lan.reach(h.address(), to)
	if other == nil {
		time.Sleep(timeout)
		return nil, errors.New("dial " + to + ": no answer")
	}
	near, far := net.Pipe()
	c := &cable{Conn: near, lan: h.lan, from: h.address(), to: to}
	h.lan.mu.Lock()
	h.lan.conns[c] = true
	h.lan.mu.Unlock()
	select {
	case other.streams <- &cable{Conn: far, lan: h.lan, from: to, to: h.address()}:
		return c, nil
	case <-other.done:
	case <-time.After(timeout):
	}
	_ = c.Close()
	return nil, errors.New("dial " + to + ": refused")
}

func (h *host) Shutdown() error {
	h.once.Do(func() {
		close(h.done)
		h.lan.mu.Lock()
		defer h.lan.mu.Unlock()
		if h.lan.hosts[h.address()] == h {
			delete(h.lan.hosts, h.address())
		}
	})
	return nil
}
