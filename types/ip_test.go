package types_test

import (
	"bytes"
	"net"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/types"
)

var (
	mask24in6 = net.CIDRMask(96+24, 128)
	net4      = &net.IPNet{IP: net.IP{192, 0, 2, 1}, Mask: net.CIDRMask(24, 32)}
	net4in6   = &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: mask24in6}
	net4half  = &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(24, 32)}
	net6      = &net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(64, 128)}
	net6wrong = &net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(24, 32)}
	netWide   = &net.IPNet{IP: net.IPv4(192, 0, 2, 1), Mask: net.CIDRMask(90, 128)}
	netHoles  = &net.IPNet{IP: net.IP{192, 0, 2, 1}, Mask: net.IPMask{255, 0, 255, 0}}
)

func TestCopies(t *testing.T) {
	if types.GetIPCopy(nil) != nil || types.GetMacCopy(nil) != nil || types.GetIPNetCopy(nil) != nil {
		t.Error("copy of nil is not nil")
	}
	ip, mac := net.IP{1, 2, 3, 4}, net.HardwareAddr{1, 2, 3, 4, 5, 6}
	nw := &net.IPNet{IP: net.IP{1, 2, 3, 4}, Mask: net.IPMask{255, 255, 255, 0}}
	ipCopy, macCopy, nwCopy := types.GetIPCopy(ip), types.GetMacCopy(mac), types.GetIPNetCopy(nw)
	if !bytes.Equal(ip, ipCopy) || !bytes.Equal(mac, macCopy) || nw.String() != nwCopy.String() {
		t.Error("copy differs")
	}
	ip[0], mac[0], nw.IP[0], nw.Mask[0] = 9, 9, 9, 0
	if ipCopy[0] != 1 || macCopy[0] != 1 || nwCopy.IP[0] != 1 || nwCopy.Mask[0] != 255 {
		t.Error("copy shares memory")
	}
}

func TestGetIPNetCanonical(t *testing.T) {
	for _, test := range []struct {
		in   *net.IPNet
		want string
	}{
		{net4, "192.0.2.0/24"}, {net4half, "192.0.2.0/24"}, {net4in6, "192.0.2.0/24"},
		{net6, "2001:db8::/64"}, {nil, "<nil>"}, {&net.IPNet{}, "<nil>"}, {net6wrong, "<nil>"},
	} {
		got := types.GetMinimalIPNet(types.GetIPNetCanonical(test.in))
		if got.String() != test.want {
			t.Errorf("%v: got %v, want %s", test.in, got, test.want)
		}
	}
	if net4.IP[3] != 1 {
		t.Error("the argument was changed")
	}
}

func TestCompareIPNet(t *testing.T) {
	for _, test := range []struct {
		a, b *net.IPNet
		want bool
	}{
		{nil, nil, true}, {nil, net4, false}, {net4, nil, false},
		{net4, net4, true}, {net4, net4in6, true}, {net4half, net4in6, true}, {net6, net6, true},
		{net4, net6, false}, {net6, net6wrong, false}, {net4, netWide, false},
		{net4, &net.IPNet{IP: net4.IP, Mask: net.CIDRMask(25, 32)}, false},
		{net4, &net.IPNet{IP: net.IP{192, 0, 2, 2}, Mask: net4.Mask}, false},
		{&net.IPNet{}, &net.IPNet{}, true},
	} {
		if got := types.CompareIPNet(test.a, test.b); got != test.want {
			t.Errorf("%v and %v: got %t", test.a, test.b, got)
		}
		if got := types.CompareIPNet(test.b, test.a); got != test.want {
			t.Errorf("%v and %v: got %t", test.b, test.a, got)
		}
	}
}

func TestMinimal(t *testing.T) {
	for _, test := range []struct{ in, want net.IP }{
		{nil, nil},
		{net.IPv4(192, 0, 2, 1), net.IP{192, 0, 2, 1}},
		{net.IP{192, 0, 2, 1}, net.IP{192, 0, 2, 1}},
		{net6.IP, net6.IP},
		{net.IP{1, 2}, net.IP{1, 2}},
	} {
		if diff := cmp.Diff([]byte(test.want), []byte(types.GetMinimalIP(test.in))); diff != "" {
			t.Errorf("%v: %s", test.in, diff)
		}
	}
	for _, test := range []struct{ in, want *net.IPNet }{
		{nil, nil}, {net4, net4}, {net4half, net4}, {net4in6, net4}, {net6, net6}, {netWide, netWide}, {net6wrong, net6wrong},
	} {
		if diff := cmp.Diff(test.want, types.GetMinimalIPNet(test.in), cmp.Comparer(func(a, b net.IP) bool { return bytes.Equal(a, b) })); diff != "" {
			t.Errorf("%v: %s", test.in, diff)
		}
	}
}

func TestIsIPNetValid(t *testing.T) {
	for _, test := range []struct {
		in   *net.IPNet
		want bool
	}{
		{net4, true}, {net4half, true}, {net4in6, true}, {net6, true},
		{&net.IPNet{IP: net.IP{0, 0, 0, 0}, Mask: net.CIDRMask(0, 32)}, true},
		{&net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)}, true},
		{nil, false}, {&net.IPNet{}, false}, {netWide, false}, {net6wrong, false}, {netHoles, false},
		{&net.IPNet{IP: net4.IP}, false}, {&net.IPNet{Mask: net4.Mask}, false},
		{&net.IPNet{IP: net.IP{1, 2}, Mask: net.IPMask{255, 0}}, false},
	} {
		if got := types.IsIPNetValid(test.in); got != test.want {
			t.Errorf("%v: got %t", test.in, got)
		}
	}
}

func TestHostPartAndBroadcast(t *testing.T) {
	for _, test := range []struct {
		nw              *net.IPNet
		host, broadcast string
	}{
		{net4, "0.0.0.1", "192.0.2.255"},
		{net4half, "0.0.0.1", "192.0.2.255"},
		{net4in6, "0.0.0.1", "192.0.2.255"},
		{netHoles, "0.0.0.1", "192.255.2.255"},
		{net6, "::1", "2001:db8::ffff:ffff:ffff:ffff"},
		{&net.IPNet{IP: net.IP{192, 0, 2, 1}, Mask: net.CIDRMask(32, 32)}, "0.0.0.0", "192.0.2.1"},
		{&net.IPNet{IP: net.IP{192, 0, 2, 1}, Mask: net.CIDRMask(0, 32)}, "192.0.2.1", "255.255.255.255"},
	} {
		host, err1 := types.GetHostPartIP(test.nw.IP, test.nw.Mask)
		broadcast, err2 := types.GetBroadcastIP(test.nw.IP, test.nw.Mask)
		if err1 != nil || err2 != nil || host.String() != test.host || broadcast.String() != test.broadcast {
			t.Errorf("%v: got %v, %v, %v, %v", test.nw, host, err1, broadcast, err2)
		}
	}
	for _, nw := range []*net.IPNet{{}, net6wrong, netWide, {IP: net4.IP}, {Mask: net4.Mask}, {IP: net.IP{1}, Mask: net.IPMask{1}}} {
		_, err1 := types.GetHostPartIP(nw.IP, nw.Mask)
		_, err2 := types.GetBroadcastIP(nw.IP, nw.Mask)
		for _, err := range []error{err1, err2} {
			if _, ok := err.(types.BadRequestError); !ok {
				t.Errorf("%v: got %v, want a bad request", nw, err)
			}
		}
	}
	if net4.IP[3] != 1 || net4.Mask[3] != 0 {
		t.Error("the argument was changed")
	}
}

func TestHostAndNetworkPartsMakeTheAddress(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{4, 16}).Draw(t, "size")
		ip := net.IP(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "ip"))
		mask := net.CIDRMask(rapid.IntRange(0, 8*size).Draw(t, "bits"), 8*size)
		network := types.GetIPNetCanonical(&net.IPNet{IP: ip, Mask: mask})
		host, err := types.GetHostPartIP(ip, mask)
		if err != nil {
			t.Fatal(err)
		}
		broadcast, err := types.GetBroadcastIP(ip, mask)
		if err != nil {
			t.Fatal(err)
		}
		if !network.Contains(broadcast) {
			t.Fatalf("%v is not in %v", broadcast, network)
		}
		sum := types.GetMinimalIP(network.IP)
		for i := range sum {
			sum[i] |= host[i]
		}
		if !sum.Equal(ip) {
			t.Fatalf("%v and %v do not make %v", network, host, ip)
		}
	})
}

func TestParseCIDR(t *testing.T) {
	for _, test := range []struct {
		in   string
		want *net.IPNet
	}{
		{"192.0.2.1/24", net4}, {"2001:db8::1/64", net6},
		{"0.0.0.0/0", &net.IPNet{IP: net.IP{0, 0, 0, 0}, Mask: net.CIDRMask(0, 32)}},
	} {
		got, err := types.ParseCIDR(test.in)
		if err != nil || got.String() != test.in || len(got.IP) != len(test.want.IP) || !types.CompareIPNet(got, test.want) {
			t.Errorf("%q: got %#v, %v", test.in, got, err)
		}
	}
	if got, err := types.ParseCIDR("::ffff:192.0.2.1/120"); err != nil || got.String() != "192.0.2.1/24" || len(got.IP) != 4 || len(got.Mask) != 4 {
		t.Errorf("IPv4 in IPv6 form: got %#v, %v", got, err)
	}
	for _, in := range []string{"", "192.0.2.1", "192.0.2.1/33", "192.0.2.1/-1", "2001:db8::1/129", "x/24", "192.0.2/24", "::ffff:192.0.2.1/95", "fe80::1%eth0/64"} {
		got, err := types.ParseCIDR(in)
		if _, ok := err.(types.BadRequestError); !ok || got != nil {
			t.Errorf("%q: got %v, %v, want a bad request", in, got, err)
		}
	}
}

func FuzzParseCIDR(f *testing.F) {
	for _, seed := range []string{"192.0.2.1/24", "2001:db8::1/64", "::ffff:192.0.2.1/120", "::/0", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := types.ParseCIDR(text)
		if err != nil {
			return
		}
		again, err := types.ParseCIDR(got.String())
		if err != nil || !types.CompareIPNet(got, again) || !types.IsIPNetValid(got) {
			t.Fatalf("%q gives %v gives %v, %v", text, got, again, err)
		}
		want, err := netip.ParsePrefix(text)
		if err != nil {
			return // netip takes no leading zeros in the length
		}
		ones, size := got.Mask.Size()
		ones += want.Addr().BitLen() - size // IPv4 in IPv6 form becomes IPv4
		if addr, ok := netip.AddrFromSlice(got.IP); !ok || addr.Unmap() != want.Addr().Unmap() || ones != want.Bits() {
			t.Fatalf("%q: got %v, want %v", text, got, want)
		}
	})
}
