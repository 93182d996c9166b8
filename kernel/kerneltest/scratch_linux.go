package kerneltest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/netns"
)

// RequireRoot skips a test that the machine does not allow.
func RequireRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make network namespaces: run the tests with sudo")
	}
}

// NewNamespace makes a namespace with the loopback up and returns its path. It goes
// when the test ends.
func NewNamespace(t testing.TB) string {
	t.Helper()
	RequireRoot(t)
	path := filepath.Join(t.TempDir(), "netns")
	if err := netns.Create(path, loopbackUp); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Delete(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// NewHost opens a machine whose host is a namespace made for the test. When the
// test ends, the host is closed.
func NewHost(t testing.TB) kernel.Host {
	t.Helper()
	host, err := kernel.Open(kernel.Options{HostNamespace: NewNamespace(t), Instance: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host
}

// Do runs fn on a thread in the namespace.
func Do(namespace string, fn func() error) error {
	n, err := netns.Open(namespace)
	if err != nil {
		return err
	}
	defer n.Close() //nolint:errcheck // read only
	return n.Do(fn)
}

// Snapshot returns all links, addresses, routes and neighbours of the namespaces,
// one a line, for comparing before with after.
func Snapshot(t testing.TB, host kernel.Host, namespaces ...string) string {
	t.Helper()
	parts, err := host.Observe(context.Background(), namespaces...)
	if err != nil {
		t.Fatal(err)
	}
	return Picture(parts)
}

// Ping is PingWithin two seconds, which is enough for whoever is to answer.
func Ping(namespace string, target netip.Addr) error {
	return PingWithin(namespace, target, 2*time.Second)
}

// PingWithin sends echo requests from the namespace until one is answered, or until
// the time is over.
func PingWithin(namespace string, target netip.Addr, limit time.Duration) error {
	return Do(namespace, func() error {
		deadline := time.Now().Add(limit)
		for {
			err := pingOnce(target)
			if err == nil || time.Now().After(deadline) {
				return err
			}
		}
	})
}

// pingOnce waits a quarter of a second for the answer, in the namespace of the
// calling thread. The kernel fills in the checksum and matches the answer: the
// socket is of the kind that is for pinging.
func pingOnce(target netip.Addr) error {
	if err := os.WriteFile("/proc/thread-self/root/proc/sys/net/ipv4/ping_group_range", []byte("0 0"), 0); err != nil {
		return err
	}
	family, protocol, request := unix.AF_INET, unix.IPPROTO_ICMP, byte(8)
	var to unix.Sockaddr
	if target.Is4() {
		to = &unix.SockaddrInet4{Addr: target.As4()}
	} else {
		family, protocol, request = unix.AF_INET6, unix.IPPROTO_ICMPV6, 128
		to = &unix.SockaddrInet6{Addr: target.As16()}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("ping socket: %w", err)
	}
	defer unix.Close(fd) //nolint:errcheck // nothing to lose
	timeout := unix.NsecToTimeval((250 * time.Millisecond).Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		return err
	}
	message := []byte{request, 0, 0, 0, 0, 0, 0, 1, 'l', 'i', 'b', 'n'}
	if err := unix.Sendto(fd, message, 0, to); err != nil {
		time.Sleep(10 * time.Millisecond) // there may be no route yet: ask again, not at once
		return fmt.Errorf("ping %s: %w", target, err)
	}
	answer := make([]byte, 128)
	if _, _, err := unix.Recvfrom(fd, answer, 0); err != nil {
		if errors.Is(err, unix.EAGAIN) {
			err = errors.New("no answer")
		}
		return fmt.Errorf("ping %s: %w", target, err)
	}
	return nil
}
