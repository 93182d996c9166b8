package networkdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

const (
	// receiveBuffer is what the kernel is asked to hold of packets that wait; it gives
	// less where it may.
	receiveBuffer = 2 << 20
	// errorPause is the time between tries when a socket only returns errors.
	errorPause = 50 * time.Millisecond
)

// sockets is the transport over UDP and TCP. Memberlist has one of its own, which takes 64
// KiB of new memory for each packet: a fifth of the time that a busy node needs.
type sockets struct {
	packets     *net.UDPConn
	listener    *net.TCPListener
	incoming    chan *memberlist.Packet
	connections chan net.Conn
	// life ends with Shutdown.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup
}

var _ memberlist.NodeAwareTransport = (*sockets)(nil)

// listen opens both sockets at an address.
func listen(address string, port int) (*sockets, error) {
	ip := net.ParseIP(address)
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip, Port: port})
	if err != nil {
		return nil, err
	}
	packets, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip, Port: port})
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	_ = packets.SetReadBuffer(receiveBuffer) // what is lost for want of it is sent again
	s := &sockets{
		packets: packets, listener: listener, incoming: make(chan *memberlist.Packet), connections: make(chan net.Conn),
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.running.Go(s.receive)
	s.running.Go(s.accept)
	return s, nil
}

// FinalAdvertiseAddr implements memberlist.Transport.
func (s *sockets) FinalAdvertiseAddr(address string, port int) (net.IP, int, error) {
	bound, _ := s.listener.Addr().(*net.TCPAddr)
	ip := bound.IP
	switch {
	case address != "":
		ip = net.ParseIP(address)
	case ip.IsUnspecified():
		addresses, err := net.InterfaceAddrs()
		if err != nil {
			return nil, 0, err
		}
		if ip = privateAddress(addresses, ip.To4() == nil); ip == nil {
			return nil, 0, errors.New("this machine has no private address: give the one to advertise")
		}
	}
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	return ip, port, nil
}

// privateAddress returns the first private IPv4 address (RFC 1918), or, if those will do,
// private IPv6 address (RFC 4193).
func privateAddress(addresses []net.Addr, ipv6 bool) net.IP {
	var found net.IP
	for _, a := range addresses {
		prefix, ok := a.(*net.IPNet)
		if !ok || !prefix.IP.IsPrivate() {
			continue
		}
		if prefix.IP.To4() != nil {
			return prefix.IP
		}
		if ipv6 && found == nil {
			found = prefix.IP
		}
	}
	return found
}

// WriteTo implements memberlist.Transport.
func (s *sockets) WriteTo(b []byte, address string) (time.Time, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return time.Time{}, fmt.Errorf("address %q: %w", address, err)
	}
	_, err = s.packets.WriteToUDPAddrPort(b, to)
	return time.Now(), err
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (s *sockets) WriteToAddress(b []byte, to memberlist.Address) (time.Time, error) {
	return s.WriteTo(b, to.Addr)
}

// DialTimeout implements memberlist.Transport.
func (s *sockets) DialTimeout(address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.life, timeout)
	defer cancel()
	return (&net.Dialer{}).DialContext(ctx, "tcp", address)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (s *sockets) DialAddressTimeout(to memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return s.DialTimeout(to.Addr, timeout)
}

// PacketCh implements memberlist.Transport.
func (s *sockets) PacketCh() <-chan *memberlist.Packet { return s.incoming }

// StreamCh implements memberlist.Transport.
func (s *sockets) StreamCh() <-chan net.Conn { return s.connections }

// Shutdown implements memberlist.Transport. It returns when nothing runs any more.
func (s *sockets) Shutdown() error {
	defer s.running.Wait()
	if s.life.Err() != nil {
		return nil
	}
	s.end()
	return errors.Join(s.packets.Close(), s.listener.Close())
}

func (s *sockets) receive() {
	buffer := make([]byte, 1<<16)
	for {
		n, from, err := s.packets.ReadFromUDPAddrPort(buffer)
		at := time.Now()
		if err != nil {
			if s.ended() {
				return
			}
			continue
		}
		if n == 0 {
			continue
		}
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		p := &memberlist.Packet{Buf: bytes.Clone(buffer[:n]), From: net.UDPAddrFromAddrPort(from), Timestamp: at}
		select {
		case s.incoming <- p:
		case <-s.life.Done():
			return
		}
	}
}

func (s *sockets) accept() {
	for {
		conn, err := s.listener.AcceptTCP()
		if err != nil {
			if s.ended() {
				return
			}
			continue
		}
		select {
		case s.connections <- conn:
		case <-s.life.Done():
			_ = conn.Close()
			return
		}
	}
}

// ended tells, after an error, whether that is because of Shutdown. If it is not, it waits
// a little.
func (s *sockets) ended() bool {
	select {
	case <-s.life.Done():
		return true
	case <-time.After(errorPause):
		return false
	}
}
