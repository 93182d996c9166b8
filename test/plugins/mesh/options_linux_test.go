package main

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// shape is what a link has in the namespace of the calling thread.
func shape(name string) (string, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", err
	}
	addresses, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return "", err
	}
	queues, err := netlink.QdiscList(link)
	if err != nil {
		return "", err
	}
	var kinds []string
	for _, q := range queues {
		kinds = append(kinds, q.Type())
	}
	slices.Sort(kinds)
	martians, err := os.ReadFile("/proc/thread-self/root/proc/sys/net/ipv4/conf/" + name + "/log_martians")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("up %v, alias %v, %d addresses, queues %v, log_martians %s", link.Attrs().OperState == netlink.OperUp, link.Attrs().Alias != "",
		len(addresses), kinds, martians[:1]), nil
}

// The options that all endpoints have work on a link that a plugin made, and nothing of
// them is left on it when it goes back.
func TestOptionsOnAdoptedLink(t *testing.T) {
	kerneltest.NeedFeature(t, kerneltest.FeatureIFB)
	p := startPlugin(t)
	c := open(t, p, t.TempDir())
	if _, err := p.registry().Wait(t.Context(), "meshipam", "IpamDriver"); err != nil {
		t.Fatal(err)
	}
	n, err := c.NewNetwork("mesh", "web", "", libnetwork.NetworkOptionIpam("meshipam", "", nil, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	const prefix = "com.docker.network.endpoint."
	ep, err := n.CreateEndpoint("ep", libnetwork.EndpointOptionGeneric(map[string]any{
		prefix + "ifname": "wan0", prefix + "sysctls": "net.ipv4.conf.IFNAME.log_martians=1",
		prefix + "bandwidth.egress": "50M", prefix + "bandwidth.ingress": "20M", "mesh.color": "red",
	}))
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := c.NewSandbox("box")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ep.Join(sandbox); err != nil {
			t.Fatal(err)
		}
		var inside string
		err := kerneltest.Do(sandbox.Key(), func() (err error) { inside, err = shape("wan0"); return err })
		if want := "up true, alias true, 1 addresses, queues [ingress tbf], log_martians 1"; err != nil || inside != want {
			t.Errorf("in the container: %s, %v; want %s", inside, err, want)
		}
		if err := ep.Leave(sandbox); err != nil {
			t.Fatal(err)
		}
		back, err := shape(otherEnd(ep.ID()))
		if want := "up false, alias false, 0 addresses, queues [], log_martians 0"; err != nil || back != want {
			t.Errorf("back on the host: %s, %v; want %s", back, err, want)
		}
	}
	for _, err := range []error{ep.Delete(false), sandbox.Delete(), n.Delete()} {
		if err != nil {
			t.Error(err)
		}
	}
}
