package sysctl_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/sysctl"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB) *sysctl.Dir {
	t.Helper()
	namespace, err := netns.Open(kerneltest.NewNamespace(t))
	check(t, err)
	d := sysctl.New(namespace.Do)
	t.Cleanup(func() { check(t, errors.Join(d.Close(), namespace.Close())) })
	return d
}

func TestCheck(t *testing.T) {
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/br-0.1/disable_ipv6", "net/bridge/bridge-nf-call-iptables", "net/nf_conntrack_max"} {
		if err := sysctl.Check(key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	for _, key := range []string{
		"", "net", "net/", "/net/ipv4/ip_forward", "net.ipv4.ip_forward", "kernel/panic", "network/ipv4/x",
		"net/../kernel/panic", "net/ipv4/../../kernel/panic", "net/ipv4/..", "net/./ipv4/x", "net//ipv4", "net/ipv4/", "net/ipv4/a\x00b",
	} {
		if err := sysctl.Check(key); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: got %v, want kind %s", key, err, cnm.Invalid)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add("net/ipv4/ip_forward")
	f.Add("net/../kernel/panic")
	f.Fuzz(func(t *testing.T, key string) {
		if sysctl.Check(key) == nil && (!strings.HasPrefix(key, "net/") || strings.Contains("/"+key+"/", "/../")) {
			t.Errorf("%q was let through", key)
		}
	})
}

func TestEachNamespaceHasItsOwn(t *testing.T) {
	a, b := open(t), open(t)
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/lo/disable_ipv6", "net/core/somaxconn"} {
		before, err := b.Read(key)
		check(t, err)
		for _, value := range []string{"1", "0"} {
			check(t, a.Write(key, value))
			got, err := a.Read(key)
			check(t, err)
			if got != value {
				t.Errorf("%s: wrote %q, read %q", key, value, got)
			}
			if other, err := b.Read(key); err != nil || other != before {
				t.Errorf("%s: the other namespace has %q, %v; want %q", key, other, err, before)
			}
		}
	}
}

func TestMissingAndRefused(t *testing.T) {
	d := open(t)
	for _, key := range []string{"net/ipv4/conf/nolink/forwarding", "net/nosucharea/x", "net/nosuchkey"} {
		if err := d.Write(key, "1"); !errors.Is(err, cnm.NotFound) || !strings.Contains(err.Error(), key) {
			t.Errorf("got %v, want kind %s and the key", err, cnm.NotFound)
		}
	}
	if err := d.Write("net/ipv4/ip_forward", "sometimes"); !errors.Is(err, cnm.Invalid) {
		t.Errorf("got %v, want kind %s", err, cnm.Invalid)
	}
}

// TestReadOnly mounts /proc/sys read-only, as in many containers, for this process:
// kerneltest.Main gave it mounts of its own.
func TestReadOnly(t *testing.T) {
	kerneltest.RequireRoot(t)
	check(t, unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""))
	defer func() { check(t, unix.Unmount("/proc/sys", unix.MNT_DETACH)) }()
	check(t, unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	d := open(t)
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv4/tcp_rmem"} {
		value, err := d.Read(key)
		check(t, err)
		check(t, d.Write(key, strings.Join(strings.Fields(value), " ")))
	}
	value, err := d.Read("net/ipv4/ip_forward")
	check(t, err)
	other := map[string]string{"0": "1", "1": "0"}[value]
	if err := d.Write("net/ipv4/ip_forward", other); !errors.Is(err, cnm.Forbidden) {
		t.Errorf("got %v, want kind %s", err, cnm.Forbidden)
	}
}

func TestManyAtOnce(t *testing.T) {
	d := open(t)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if err := d.Write("net/ipv4/ip_forward", "1"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}
