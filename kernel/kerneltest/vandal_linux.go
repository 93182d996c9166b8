package kerneltest

import (
	"context"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/rtnl"
)

// DeleteLink deletes a link as somebody else would, behind the back of whoever made
// it.
func DeleteLink(namespace, name string) error {
	return Do(namespace, func() error {
		conn, err := rtnl.Dial()
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // nothing to lose
		var link rtnl.Link
		if err := conn.Execute(context.Background(), rtnl.GetLink(name, &link)); err != nil {
			return err
		}
		return conn.Execute(context.Background(), rtnl.DeleteLink(link.Index))
	})
}

// foreignPairs makes pairs of links as somebody else would: each has one end of the name,
// and another to keep.
func foreignPairs(t testing.TB, host kernel.Host, names ...string) {
	t.Helper()
	err := Do(host.Namespaces().HostPath(), func() error {
		for _, name := range names {
			pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-far"}
			if err := netlink.LinkAdd(pair); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
