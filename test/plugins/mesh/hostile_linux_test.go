package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/plugin/plugintest"
)

// makeLinks makes links of the host as its operator would, and deletes them in the end.
func makeLinks(t *testing.T, links ...netlink.Link) {
	t.Helper()
	for _, l := range links {
		if err := netlink.LinkAdd(l); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := netlink.LinkDel(l); err != nil {
				t.Error(err)
			}
		})
	}
}

// pair is an end of the name, and another that nobody looks at.
func pair(name string) *netlink.Veth {
	return &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "-far"}
}

// evil runs a plugin that says yes to everything, and a controller.
func evil(t *testing.T) (*plugintest.Plugin, libnetwork.NetworkController) {
	t.Helper()
	kerneltest.RequireRoot(t)
	p := plugintest.Start(t, "evil", "NetworkDriver")
	for _, method := range []string{"CreateNetwork", "DeleteNetwork", "CreateEndpoint", "DeleteEndpoint", "Leave", "ProgramExternalConnectivity", "RevokeExternalConnectivity"} {
		p.Answer("NetworkDriver."+method, "{}")
	}
	p.Answer("NetworkDriver.GetCapabilities", `{"Scope":"local"}`)
	data := t.TempDir()
	c, err := libnetwork.New(config.OptionDataDir(data), config.OptionExecRoot(data+"/run"), config.OptionAnnounce(0, 0),
		config.OptionPlugins(config.PluginsCfg{SocketFolders: []string{p.Folder}, SpecFolders: []string{p.Folder}}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return p, c
}

// A plugin names links of the host that are not its own: it gets none of them, and the
// join leaves nothing.
func TestHostilePlugin(t *testing.T) {
	p, c := evil(t)
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "hostbr"}}
	makeLinks(t, pair("uplink"), bridge)
	port := pair("hostport")
	port.MasterIndex = bridge.Attrs().Index
	makeLinks(t, port, pair("made0"))
	uplink, err := netlink.LinkByName("uplink")
	if err == nil {
		err = addAddress(uplink, "198.51.100.7/24")
	}
	if err != nil {
		t.Fatal(err)
	}
	bridged, err := c.NewNetwork("bridge", "bridged", "0123456789abcdef")
	if err != nil {
		t.Fatal(err)
	}
	n, err := c.NewNetwork("evil", "web", "")
	if err != nil {
		t.Fatal(err)
	}
	ep, err := n.CreateEndpoint("ep")
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := c.NewSandbox("box")
	if err != nil {
		t.Fatal(err)
	}
	before := hostLinks(t)
	for names, kind := range map[string]cnm.Kind{
		`"SrcName":"lo","DstPrefix":"eth"`:              cnm.Internal,
		`"SrcName":"../eth0","DstPrefix":"eth"`:         cnm.Internal,
		`"SrcName":"uplink","DstPrefix":"eth"`:          cnm.Forbidden,
		`"SrcName":"hostport","DstPrefix":"eth"`:        cnm.Forbidden,
		`"SrcName":"br-0123456789ab","DstPrefix":"eth"`: cnm.Exists,
		`"SrcName":"absent","DstPrefix":"eth"`:          cnm.NotFound,
		`"SrcName":"made0","DstName":"lo"`:              cnm.Internal,
	} {
		p.Answer("NetworkDriver.Join", `{"InterfaceName":{`+names+`}}`)
		p.Calls()
		if err := ep.Join(sandbox); !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want kind %q", names, err, kind)
		}
		if got := fmt.Sprint(p.Methods()); got != "[NetworkDriver.Join NetworkDriver.Leave]" {
			t.Errorf("%s: the plugin was asked for %s", names, got)
		}
		if after := hostLinks(t); fmt.Sprint(after) != fmt.Sprint(before) {
			t.Errorf("%s: links before: %q, after: %q", names, before, after)
		}
		if len(sandbox.Endpoints()) != 0 {
			t.Errorf("%s: the sandbox has an endpoint", names)
		}
	}

	// The same link for two endpoints.
	p.Answer("NetworkDriver.Join", `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"},"DisableGatewayService":true}`)
	if err := ep.Join(sandbox); err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "made0"}, PeerName: "made0-other"}); err != nil {
		t.Fatal(err)
	}
	second, err := n.CreateEndpoint("second")
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.NewSandbox("other")
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Join(other); !errors.Is(err, cnm.Exists) || !strings.Contains(err.Error(), `"made0"`) {
		t.Errorf("the same link again: error %v", err)
	}
	if err := deleteLink("made0"); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{other.Delete(), sandbox.Delete(), second.Delete(false), n.Delete(), bridged.Delete()} {
		if err != nil && !errors.Is(err, cnm.NotFound) {
			t.Error(err)
		}
	}
	if links := hostLinks(t); !contains(links, "made0") {
		t.Errorf("the plugin's link is not back: %q", links)
	}
}
