package netlabel_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/netlabel"
)

func TestLabels(t *testing.T) {
	const prefix = "com.docker.network"
	for got, want := range map[string]string{
		netlabel.Prefix:                      "",
		netlabel.DriverPrefix:                ".driver",
		netlabel.DriverPrivatePrefix:         ".driver.private",
		netlabel.GenericData:                 ".generic",
		netlabel.PortMap:                     ".portmap",
		netlabel.MacAddress:                  ".endpoint.macaddress",
		netlabel.ExposedPorts:                ".endpoint.exposedports",
		netlabel.DNSServers:                  ".endpoint.dnsservers",
		netlabel.EnableIPv4:                  ".enable_ipv4",
		netlabel.EnableIPv6:                  ".enable_ipv6",
		netlabel.DriverMTU:                   ".driver.mtu",
		netlabel.OverlayBindInterface:        ".driver.overlay.bind_interface",
		netlabel.OverlayNeighborIP:           ".driver.overlay.neighbor_ip",
		netlabel.OverlayVxlanIDList:          ".driver.overlay.vxlanid_list",
		netlabel.Gateway:                     ".gateway",
		netlabel.Internal:                    ".internal",
		netlabel.ContainerIfacePrefix:        ".container_iface_prefix",
		netlabel.EndpointName:                ".endpoint.name",
		netlabel.Ifname:                      ".endpoint.ifname",
		netlabel.EndpointSysctls:             ".endpoint.sysctls",
		netlabel.AdvertiseAddrNMsgs:          ".advertise_addr_nmsgs",
		netlabel.AdvertiseAddrIntervalMs:     ".advertise_addr_ms",
		netlabel.HostIPv4:                    ".host_ipv4",
		netlabel.HostIPv6:                    ".host_ipv6",
		netlabel.NoProxy6To4:                 ".driver.private.no_proxy_6to4",
		netlabel.BridgeName:                  ".bridge.name",
		netlabel.BridgeEnableIPMasquerade:    ".bridge.enable_ip_masquerade",
		netlabel.BridgeEnableICC:             ".bridge.enable_icc",
		netlabel.BridgeHostBindingIPv4:       ".bridge.host_binding_ipv4",
		netlabel.BridgeDefault:               ".bridge.default_bridge",
		netlabel.BridgeInhibitIPv4:           ".bridge.inhibit_ipv4",
		netlabel.BridgeGatewayModeIPv4:       ".bridge.gateway_mode_ipv4",
		netlabel.BridgeGatewayModeIPv6:       ".bridge.gateway_mode_ipv6",
		netlabel.BridgeTrustedHostInterfaces: ".bridge.trusted_host_interfaces",
	} {
		if got != prefix+want {
			t.Errorf("got %q, want %q", got, prefix+want)
		}
	}
}

func TestStoreLabels(t *testing.T) {
	got := []string{
		netlabel.GlobalKVProvider, netlabel.GlobalKVProviderURL, netlabel.GlobalKVProviderConfig, netlabel.GlobalKVClient,
		netlabel.LocalKVProvider, netlabel.LocalKVProviderURL, netlabel.LocalKVProviderConfig, netlabel.LocalKVClient,
	}
	want := []string{
		netlabel.MakeKVProvider("global"), netlabel.MakeKVProviderURL("global"),
		netlabel.MakeKVProviderConfig("global"), netlabel.MakeKVClient("global"),
		netlabel.MakeKVProvider("local"), netlabel.MakeKVProviderURL("local"),
		netlabel.MakeKVProviderConfig("local"), netlabel.MakeKVClient("local"),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := netlabel.MakeKVProvider("global"); got != "com.docker.network.driver.privateglobalkv.provider" {
		t.Errorf("got %s", got)
	}
	seen := make(map[string]bool)
	for _, label := range got {
		if seen[label] || !strings.HasPrefix(label, netlabel.DriverPrivatePrefix) {
			t.Errorf("%s: is there twice, or is not private", label)
		}
		seen[label] = true
	}
}

func TestKeyValue(t *testing.T) {
	for label, want := range map[string][2]string{
		"a=b": {"a", "b"}, "a=b=c": {"a", "b=c"}, "a=": {"a", ""}, "a": {"a", ""}, "=b": {"", "b"},
		"": {"", ""}, "=": {"", ""}, " a = b ": {" a ", " b "},
	} {
		key, value := netlabel.KeyValue(label)
		if diff := cmp.Diff(want, [2]string{key, value}); diff != "" {
			t.Errorf("%q: %s", label, diff)
		}
		if netlabel.Key(label) != key || netlabel.Value(label) != value {
			t.Errorf("%q: Key and Value differ from KeyValue", label)
		}
	}
}

func TestKeyValueRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.StringMatching(`[^=]*`).Draw(t, "key")
		value := rapid.String().Draw(t, "value")
		if k, v := netlabel.KeyValue(key + "=" + value); k != key || v != value {
			t.Fatalf("got %q and %q", k, v)
		}
	})
}

func ExampleKeyValue() {
	key, value := netlabel.KeyValue("com.docker.network.driver.mtu=1400")
	fmt.Println(key, value, key == netlabel.DriverMTU)
	// Output: com.docker.network.driver.mtu 1400 true
}
