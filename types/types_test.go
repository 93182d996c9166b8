package types_test

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/types"
)

func TestStaticRouteCopy(t *testing.T) {
	build := func() *types.StaticRoute {
		return &types.StaticRoute{
			Destination: &net.IPNet{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(8, 32)},
			RouteType:   types.CONNECTED,
			NextHop:     net.IP{10, 0, 0, 1},
		}
	}
	route := build()
	got := route.GetCopy()
	route.Destination.IP[0], route.Destination.Mask[0], route.NextHop[0] = 9, 0, 9
	if diff := cmp.Diff(build(), got); diff != "" {
		t.Error(diff)
	}
	if (*types.StaticRoute)(nil).GetCopy() != nil {
		t.Error("copy of nil is not nil")
	}
}

func TestInterfaceStatisticsString(t *testing.T) {
	statistics := &types.InterfaceStatistics{1, 2, 3, 4, 5, 6, 7, 8}
	want := "rx: 1 bytes, 2 packets, 3 errors, 4 dropped; tx: 5 bytes, 6 packets, 7 errors, 8 dropped"
	if got := statistics.String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := (*types.InterfaceStatistics)(nil).String(); got != "<nil>" {
		t.Errorf("nil: got %s", got)
	}
}

func TestNumbersOfTheWire(t *testing.T) {
	got := []int{types.NEXTHOP, types.CONNECTED, types.IP, types.IPv4, types.IPv6, types.ICMP, types.TCP, types.UDP}
	if diff := cmp.Diff([]int{0, 1, 0, 1, 2, 1, 6, 17}, got); diff != "" {
		t.Error(diff)
	}
}
