package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Serve answers on a port of a namespace, at all addresses, by TCP and by UDP, until the
// test ends: with its name and the client's address.
func Serve(t testing.TB, namespace, name string, port uint16) {
	t.Helper()
	stop, err := StartServer(namespace, name, fmt.Sprintf(":%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
}

// StartServer is Serve at one address, until stop is called.
func StartServer(namespace, name, address string) (stop func(), err error) {
	var listener net.Listener
	var packets net.PacketConn
	err = Do(namespace, func() (err error) {
		if listener, err = net.Listen("tcp", address); err != nil {
			return err
		}
		packets, err = net.ListenPacket("udp", address)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", name, err)
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, answer(name, conn.RemoteAddr()))
			_ = conn.Close()
		}
	}()
	go func() {
		buffer := make([]byte, 64)
		for {
			_, client, err := packets.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = packets.WriteTo([]byte(answer(name, client)), client)
		}
	}()
	return func() { _, _ = listener.Close(), packets.Close() }, nil
}

func answer(name string, client net.Addr) string {
	address, err := netip.ParseAddrPort(client.String())
	if err != nil {
		return name + " " + client.String()
	}
	return name + " " + address.Addr().Unmap().WithZone("").String()
}

// Ask connects from a namespace to a server and returns what it answers: who it is, and
// which address it saw. The network is "tcp" or "udp". Without an answer within the limit
// it is an error.
func Ask(namespace, network, address string, limit time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	var conn net.Conn
	err := Do(namespace, func() (err error) {
		var dialer net.Dialer
		conn, err = dialer.DialContext(ctx, network, address)
		return err
	})
	if err != nil {
		return "", err
	}
	defer conn.Close() //nolint:errcheck // nothing to lose
	return converse(conn, network, limit)
}

// converse asks again by UDP, where a packet may get lost while neighbours are looked for.
func converse(conn net.Conn, network string, limit time.Duration) (string, error) {
	deadline := time.Now().Add(limit)
	buffer := make([]byte, 128)
	for {
		if network == "udp" {
			// An error that came back for the last one is told here: it is not the end.
			_, _ = conn.Write([]byte("?"))
		}
		wait := time.Now().Add(limit / 3)
		if network != "udp" || wait.After(deadline) {
			wait = deadline
		}
		if err := conn.SetReadDeadline(wait); err != nil {
			return "", err
		}
		n, err := conn.Read(buffer)
		if err == nil {
			return strings.TrimSpace(string(buffer[:n])), nil
		}
		if network != "udp" || time.Now().After(deadline) || errors.Is(err, net.ErrClosed) {
			return "", err
		}
		if !errors.Is(err, context.DeadlineExceeded) && !isTimeout(err) {
			time.Sleep(limit / 10) // refused: not again at once
		}
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}
