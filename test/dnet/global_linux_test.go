package dnet

import (
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/test/storeserver"
)

// A network of scope global, made by one daemon, is on the other's host too: containers of
// both reach each other, by name.
func TestNetworkOfTwoHosts(t *testing.T) {
	kerneltest.RequireRoot(t)
	etcd := storeserver.Etcd(t, nil)
	one, two := newMachine(t, kerneltest.NewNamespace(t)), newMachine(t, kerneltest.NewNamespace(t))
	run(t, one.host, "ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth0", "netns", two.host)
	for _, m := range []*machine{one, two} {
		m.settings = "[scopes.global.client]\nprovider = \"etcd\"\naddress = \"" + etcd.Address + "/libnetwork\"\n"
		m.arguments = []string{"--no-default-network"}
		m.start()
	}
	one.dnet("network", "create", "--scope", "global", "--driver", "macvlan", "--opt", "parent=eth0", "--subnet", "198.51.100.0/24", "lan")
	listed := func() error {
		_, err := two.try("network", "inspect", "lan")
		return err
	}
	two.await("the network on the other host", listed, two.daemon.log)
	for m, name := range map[*machine]string{one: "first", two: "second"} {
		m.dnet("container", "create", name)
		m.dnet("network", "connect", "lan", name)
	}
	reaches := func() error {
		_, err := two.try("exec", "second", "--", "busybox", "ping", "-c", "1", "-W", "1", "first")
		return err
	}
	two.await("the name of a container of the other host", reaches, two.daemon.log)
	if out, err := two.try("network", "rm", "lan"); err == nil || !strings.Contains(out, "endpoints") {
		t.Errorf("deleting a network in use: %v, %s", err, out)
	}
}
