package types_test

import (
	"errors"
	"net"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/types"
)

func TestProtocol(t *testing.T) {
	for _, test := range []struct {
		protocol types.Protocol
		text     string
	}{
		{types.ICMP, "icmp"}, {types.TCP, "tcp"}, {types.UDP, "udp"}, {types.SCTP, "sctp"}, {0, "0"}, {47, "47"}, {255, "255"},
	} {
		if got := test.protocol.String(); got != test.text {
			t.Errorf("String of %d: got %q, want %q", test.protocol, got, test.text)
		}
		if got := types.ParseProtocol(test.text); got != test.protocol {
			t.Errorf("ParseProtocol(%q): got %d, want %d", test.text, got, test.protocol)
		}
	}
	for text, want := range map[string]types.Protocol{
		"TCP": types.TCP, "Udp": types.UDP, "SCTP": types.SCTP, "": 0, "tcp ": 0, "256": 0, "-1": 0, "quic": 0,
	} {
		if got := types.ParseProtocol(text); got != want {
			t.Errorf("ParseProtocol(%q): got %d, want %d", text, got, want)
		}
	}
	if types.SCTP != 132 {
		t.Error("SCTP is protocol 132")
	}
}

func TestTransportPortFromString(t *testing.T) {
	for _, test := range []struct {
		text string
		want types.TransportPort
		back string
	}{
		{"tcp/80", types.TransportPort{Proto: types.TCP, Port: 80}, "tcp/80"},
		{"UDP/053", types.TransportPort{Proto: types.UDP, Port: 53}, "udp/53"},
		{"sctp/65535", types.TransportPort{Proto: types.SCTP, Port: 65535}, "sctp/65535"},
		{"47/0", types.TransportPort{Proto: 47}, "47/0"},
	} {
		var got types.TransportPort
		if err := got.FromString(test.text); err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" || got.String() != test.back {
			t.Errorf("%q: back %q, %s", test.text, got.String(), diff)
		}
	}
	for _, text := range []string{"", "tcp", "80/tcp", "tcp/", "/80", "tcp/65536", "tcp/-1", "tcp/+1", "tcp/80/90", "xyz/80", "tcp/ 80"} {
		kept := types.TransportPort{Proto: types.UDP, Port: 7}
		got := kept
		err := got.FromString(text)
		if _, ok := err.(types.BadRequestError); !ok {
			t.Errorf("%q: got %v, want a bad request", text, err)
		}
		if got != kept {
			t.Errorf("%q: refused, but changed to %v", text, got)
		}
	}
}

func TestPortBindingFromString(t *testing.T) {
	four, six := net.IPv4(172, 17, 0, 2).To4(), net.ParseIP("2001:db8::1")
	for _, test := range []struct {
		text string
		want types.PortBinding
		back string // empty means text
	}{
		{"tcp/172.17.0.2:80/0.0.0.0:8080", types.PortBinding{Proto: types.TCP, IP: four, Port: 80, HostIP: net.IP{0, 0, 0, 0}, HostPort: 8080}, ""},
		{"udp/:53/:0", types.PortBinding{Proto: types.UDP, Port: 53}, ""},
		{
			"sctp/[2001:db8::1]:5/[::]:6-9",
			types.PortBinding{Proto: types.SCTP, IP: six, Port: 5, HostIP: net.IPv6unspecified, HostPort: 6, HostPortEnd: 9}, "",
		},
		{
			"TCP/2001:db8::1:80/:8080", types.PortBinding{Proto: types.TCP, IP: six, Port: 80, HostPort: 8080},
			"tcp/[2001:db8::1]:80/:8080",
		},
		{
			"tcp/[::ffff:172.17.0.2]:80/:8-8", types.PortBinding{Proto: types.TCP, IP: four, Port: 80, HostPort: 8, HostPortEnd: 8},
			"tcp/172.17.0.2:80/:8",
		},
	} {
		var got types.PortBinding
		if err := got.FromString(test.text); err != nil {
			t.Errorf("%q: %v", test.text, err)
			continue
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%q: %s", test.text, diff)
		}
		if test.back == "" {
			test.back = test.text
		}
		if got := got.String(); got != test.back {
			t.Errorf("%q: back %q, want %q", test.text, got, test.back)
		}
	}
}

func TestPortBindingFromStringRefuses(t *testing.T) {
	for _, text := range []string{
		"", "tcp", "tcp/:80", "tcp/:80/:80/", "xyz/:80/:80", "tcp/80/:80", "tcp/:80/80", "tcp/x:80/:80", "tcp/[::1:80/:80",
		"tcp/:/:80", "tcp/:80/:", "tcp/:80/:65536", "tcp/:80/:9-8", "tcp/:80/:0-8", "tcp/:80/:8-", "tcp/:80/:-8", "tcp/:80/:8-9-10",
		"tcp/:80-90/:80", "tcp/[fe80::1%eth0]:80/:80", "tcp/[]:80/:80", "tcp/1.2.3:80/:80",
	} {
		kept := types.PortBinding{Proto: types.UDP, Port: 7}
		got := kept
		err := got.FromString(text)
		if _, ok := err.(types.BadRequestError); !ok {
			t.Errorf("%q: got %v, want a bad request", text, err)
		}
		if !reflect.DeepEqual(got, kept) {
			t.Errorf("%q: refused, but changed to %s", text, &got)
		}
	}
}

func drawIP(t *rapid.T, label string) net.IP {
	size := rapid.SampledFrom([]int{0, 4, 16}).Draw(t, label+" size")
	return net.IP(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, label))
}

func drawBinding(t *rapid.T) types.PortBinding {
	out := types.PortBinding{
		Proto:    types.Protocol(rapid.Byte().Draw(t, "protocol")),
		IP:       drawIP(t, "ip"),
		Port:     rapid.Uint16().Draw(t, "port"),
		HostIP:   drawIP(t, "host ip"),
		HostPort: rapid.Uint16().Draw(t, "host port"),
	}
	if out.HostPort > 0 && rapid.Bool().Draw(t, "range") {
		out.HostPortEnd = rapid.Uint16Range(out.HostPort, 65535).Draw(t, "host port end")
	}
	return out
}

func TestPortBindingRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawBinding(t)
		var got types.PortBinding
		if err := got.FromString(want.String()); err != nil {
			t.Fatal(err)
		}
		if !got.Equal(&want) || !want.Equal(&got) {
			t.Fatalf("%s came back as %s", &want, &got)
		}
		if copied := want.GetCopy(); !copied.Equal(&want) {
			t.Fatalf("copy of %s is %s", &want, &copied)
		}
		transport := types.TransportPort{Proto: want.Proto, Port: want.Port}
		var back types.TransportPort
		if err := back.FromString(transport.String()); err != nil || !back.Equal(&transport) || back.GetCopy() != transport {
			t.Fatalf("%s came back as %s, %v", &transport, &back, err)
		}
	})
}

func FuzzPortBindingFromString(f *testing.F) {
	for _, seed := range []string{"tcp/172.17.0.2:80/0.0.0.0:8080", "udp/:53/:0", "sctp/[2001:db8::1]:5/[::]:6-9", "132/::1:1/::2:3", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got types.PortBinding
		if got.FromString(text) != nil {
			return
		}
		var again types.PortBinding
		if err := again.FromString(got.String()); err != nil || !again.Equal(&got) {
			t.Fatalf("%q gives %s gives %s, %v", text, &got, &again, err)
		}
	})
}

func FuzzTransportPortFromString(f *testing.F) {
	for _, seed := range []string{"tcp/80", "132/65535", "UDP/0", "tcp", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var got types.TransportPort
		if got.FromString(text) != nil {
			return
		}
		var again types.TransportPort
		if err := again.FromString(got.String()); err != nil || again != got {
			t.Fatalf("%q gives %s gives %s, %v", text, &got, &again, err)
		}
	})
}

func TestPortBindingEqual(t *testing.T) {
	base := types.PortBinding{Proto: types.TCP, IP: net.IPv4(10, 0, 0, 1), Port: 80, HostIP: net.IPv4zero, HostPort: 8000, HostPortEnd: 8000}
	same := types.PortBinding{Proto: types.TCP, IP: net.IP{10, 0, 0, 1}, Port: 80, HostIP: net.IP{0, 0, 0, 0}, HostPort: 8000}
	if !base.Equal(&same) || !base.Equal(&base) {
		t.Error("not equal to the same in another form")
	}
	for name, change := range map[string]func(*types.PortBinding){
		"protocol": func(p *types.PortBinding) { p.Proto = types.UDP },
		"ip":       func(p *types.PortBinding) { p.IP = nil },
		"port":     func(p *types.PortBinding) { p.Port++ },
		"host ip":  func(p *types.PortBinding) { p.HostIP = net.IPv6zero },
		"host":     func(p *types.PortBinding) { p.HostPort++ },
		"end":      func(p *types.PortBinding) { p.HostPortEnd = 8001 },
	} {
		other := base.GetCopy()
		change(&other)
		if base.Equal(&other) || other.Equal(&base) {
			t.Errorf("%s differs, but they are equal", name)
		}
	}
}

func TestPortNil(t *testing.T) {
	var binding *types.PortBinding
	var port *types.TransportPort
	if !binding.Equal(nil) || binding.Equal(&types.PortBinding{}) || !port.Equal(nil) || port.Equal(&types.TransportPort{}) {
		t.Error("nil must equal nil alone")
	}
	if binding.String() != "<nil>" || port.String() != "<nil>" || (*types.SCTPAddr)(nil).String() != "<nil>" {
		t.Error("nil must print as <nil>")
	}
	if got := binding.GetCopy(); !reflect.DeepEqual(got, types.PortBinding{}) || port.GetCopy() != (types.TransportPort{}) {
		t.Error("copy of nil must be the zero value")
	}
}

func TestPortBindingCopySharesNothing(t *testing.T) {
	binding := types.PortBinding{IP: net.IP{10, 0, 0, 1}, HostIP: net.IP{10, 0, 0, 2}, Proto: types.TCP}
	copied := binding.GetCopy()
	host, err := binding.HostAddr()
	if err != nil {
		t.Fatal(err)
	}
	binding.IP[0], binding.HostIP[0] = 9, 9
	if copied.IP[0] != 10 || copied.HostIP[0] != 10 || host.(*net.TCPAddr).IP[0] != 10 {
		t.Error("shares memory")
	}
}

func TestPortBindingAddrs(t *testing.T) {
	container, host := net.IP{10, 0, 0, 1}, net.ParseIP("2001:db8::1")
	for _, test := range []struct {
		proto           types.Protocol
		network         string
		container, host net.Addr
	}{
		{types.TCP, "tcp", &net.TCPAddr{IP: container, Port: 80}, &net.TCPAddr{IP: host, Port: 8080}},
		{types.UDP, "udp", &net.UDPAddr{IP: container, Port: 80}, &net.UDPAddr{IP: host, Port: 8080}},
		{types.SCTP, "sctp", &types.SCTPAddr{IP: container, Port: 80}, &types.SCTPAddr{IP: host, Port: 8080}},
	} {
		binding := types.PortBinding{Proto: test.proto, IP: container, Port: 80, HostIP: host, HostPort: 8080}
		gotContainer, err1 := binding.ContainerAddr()
		gotHost, err2 := binding.HostAddr()
		if err1 != nil || err2 != nil || !reflect.DeepEqual(gotContainer, test.container) || !reflect.DeepEqual(gotHost, test.host) {
			t.Errorf("%s: got %v, %v, %v, %v", test.proto, gotContainer, err1, gotHost, err2)
			continue
		}
		if gotHost.Network() != test.network || gotHost.String() != "[2001:db8::1]:8080" || gotContainer.String() != "10.0.0.1:80" {
			t.Errorf("%s: prints as %s %s and %s", test.proto, gotHost.Network(), gotHost, gotContainer)
		}
	}
	_, err := types.PortBinding{Proto: types.ICMP}.HostAddr()
	var invalid types.ErrInvalidProtocolBinding
	if !errors.As(err, &invalid) || invalid != "icmp" {
		t.Errorf("icmp: got %v", err)
	}
	if got := (&types.SCTPAddr{Port: 5}).String(); got != ":5" {
		t.Errorf("any address: got %s", got)
	}
}
