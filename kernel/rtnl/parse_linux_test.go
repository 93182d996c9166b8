package rtnl

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// body returns what follows the header in the encoded request.
func body(r Request) []byte { return r.message.Serialize()[unix.SizeofNlMsghdr:] }

func TestAddrSurvivesEncoding(t *testing.T) {
	for _, prefix := range []string{"192.0.2.1/24", "192.0.2.1/32", "192.0.2.0/31", "2001:db8::1/64", "fe80::1/128", "0.0.0.0/0"} {
		want := Addr{Link: 7, Prefix: netip.MustParsePrefix(prefix), Protocol: Protocol}
		got, ok := parseAddr(body(AddAddr(want.Link, want.Prefix)))
		if !ok || got != want {
			t.Errorf("%s: got %+v, %v; want %+v", prefix, got, ok, want)
		}
	}
}

func TestBroadcast(t *testing.T) {
	for prefix, want := range map[string]string{
		"192.0.2.1/24": "192.0.2.255", "10.1.2.3/8": "10.255.255.255", "10.0.0.1/30": "10.0.0.3", "1.2.3.4/0": "255.255.255.255",
	} {
		if got, _ := netip.AddrFromSlice(broadcast(netip.MustParsePrefix(prefix))); got.String() != want {
			t.Errorf("%s: got %s, want %s", prefix, got, want)
		}
	}
}

func TestRouteSurvivesEncoding(t *testing.T) {
	for _, want := range []Route{
		{Link: 3, Destination: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("192.0.2.1")},
		{Link: 3, Destination: netip.MustParsePrefix("198.51.100.0/24"), Metric: 7},
		{Link: 3, Destination: netip.MustParsePrefix("::/0"), Gateway: netip.MustParseAddr("2001:db8::1")},
		{Link: 3, Destination: netip.MustParsePrefix("2001:db8:1::/48"), Metric: 1},
	} {
		want.Protocol = Protocol
		got, ok := parseRoute(body(AddRoute(want)))
		if !ok || got != want {
			t.Errorf("got %+v, %v; want %+v", got, ok, want)
		}
	}
}

func TestRouteScope(t *testing.T) {
	for _, c := range []struct {
		destination, gateway string
		want                 uint8
	}{
		{"198.51.100.0/24", "", unix.RT_SCOPE_LINK},
		{"198.51.100.0/24", "192.0.2.1", unix.RT_SCOPE_UNIVERSE},
		{"2001:db8::/64", "", unix.RT_SCOPE_UNIVERSE},
	} {
		gateway, _ := netip.ParseAddr(c.gateway)
		route := Route{Link: 1, Destination: netip.MustParsePrefix(c.destination), Gateway: gateway}
		if got := nl.DeserializeRtMsg(body(AddRoute(route))).Scope; got != c.want {
			t.Errorf("%s via %q: scope %d, want %d", c.destination, c.gateway, got, c.want)
		}
	}
}

func TestForeignRoutesAreLeftOut(t *testing.T) {
	request := func(change func(*nl.RtMsg)) []byte {
		header := &nl.RtMsg{RtMsg: unix.RtMsg{Family: unix.AF_INET, Table: unix.RT_TABLE_MAIN, Type: unix.RTN_UNICAST}}
		change(header)
		return append(header.Serialize(), nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(1)).Serialize()...)
	}
	if _, ok := parseRoute(request(func(*nl.RtMsg) {})); !ok {
		t.Error("a plain route was left out")
	}
	for name, change := range map[string]func(*nl.RtMsg){
		"other table": func(m *nl.RtMsg) { m.Table = unix.RT_TABLE_LOCAL },
		"blackhole":   func(m *nl.RtMsg) { m.Type = unix.RTN_BLACKHOLE },
		"cached":      func(m *nl.RtMsg) { m.Flags = unix.RTM_F_CLONED },
		"multicast":   func(m *nl.RtMsg) { m.Family = 128 }, // RTNL_FAMILY_IPMR,
	} {
		if r, ok := parseRoute(request(change)); ok {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

func TestNeighborSurvivesEncoding(t *testing.T) {
	for _, ip := range []string{"192.0.2.9", "2001:db8::9"} {
		want := Neighbor{Link: 4, IP: netip.MustParseAddr(ip), MAC: netstate.MAC{2, 0, 0, 0, 0, 9}, Protocol: Protocol}
		got, ok := parseNeighbor(body(AddNeighbor(want.Link, want.IP, want.MAC)))
		if !ok || got != want {
			t.Errorf("got %+v, %v; want %+v", got, ok, want)
		}
	}
}

func TestLinkSurvivesEncoding(t *testing.T) {
	master, quiet := 9, true
	mac := netstate.MAC{2, 0, 0, 0, 0, 1}.HardwareAddr()
	attributes := Attributes{Alias: "mark", MAC: mac, MTU: 1400, Master: &master, NoIPv6: &quiet, Up: true}
	got, ok := parseLink(body(SetLink("v0", attributes)))
	want := Link{Name: "v0", Alias: "mark", MAC: mac, MTU: 1400, Master: 9, NoIPv6: true, Up: true}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("set: -want +got\n%s", diff)
	}
	got, ok = parseLink(body(NewBridge("b0", attributes)))
	want = Link{Name: "b0", Kind: "bridge", MAC: mac, MTU: 1400, Master: 9, Group: Group}
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("new: the alias and what is IPv6's are for later; -want +got\n%s", diff)
	}
}

func TestParentedSurvivesEncoding(t *testing.T) {
	for _, want := range []Parented{
		{Kind: netstate.Macvlan, Parent: 3, Mode: netstate.ModeBridge}, {Kind: netstate.Macvlan, Parent: 3, Mode: netstate.ModePassthru},
		{Kind: netstate.Macvlan, Parent: 3, Mode: netstate.ModePrivate}, {Kind: netstate.Macvlan, Parent: 3, Mode: netstate.ModeVEPA},
		{Kind: netstate.IPvlan, Parent: 3, Mode: netstate.ModeL2, Flag: netstate.ModeBridge},
		{Kind: netstate.IPvlan, Parent: 3, Mode: netstate.ModeL3S, Flag: netstate.ModePrivate},
		{Kind: netstate.IPvlan, Parent: 3, Mode: netstate.ModeL3, Flag: netstate.ModeVEPA},
		{Kind: netstate.VLAN, Parent: 3, VLANID: 4094},
	} {
		l, ok := parseLink(body(NewParented("x", Attributes{}, want, -1)))
		got := Parented{netstate.Kind(l.Kind), l.Peer, l.Mode, l.Flag, l.VLANID}
		if !ok || got != want || l.Group != Group {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestRedirectSurvivesEncoding(t *testing.T) {
	want := Redirect{Link: 3, To: 7}
	if got, ok := parseFilter(body(AddRedirect(want))); !ok || got != want {
		t.Errorf("got %+v, %v; want %+v", got, ok, want)
	}
	if got, ok := parseFilter(body(AddClassifier(3))); ok {
		t.Errorf("a filter that sends nothing on passed for %+v", got)
	}
}

// refused builds an NLMSG_ERROR for a request with a payload of the given length.
func refused(errno unix.Errno, flags uint16, payload int, text string) message {
	b := binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno)))
	request := make([]byte, unix.SizeofNlMsghdr)
	binary.NativeEndian.PutUint32(request, uint32(unix.SizeofNlMsghdr+payload))
	b = append(b, request...)
	if flags&flagCapped == 0 {
		b = append(b, make([]byte, align(payload))...)
	}
	if text != "" {
		b = append(b, nl.NewRtAttr(ackTLVMessage, nl.ZeroTerminated(text)).Serialize()...)
	}
	return message{header: unix.NlMsghdr{Type: unix.NLMSG_ERROR, Flags: flags}, body: b}
}

func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		name    string
		message message
		want    string
	}{
		{"bare", refused(unix.EEXIST, flagCapped, 20, ""), "file exists"},
		{"capped, with text", refused(unix.EINVAL, flagCapped|flagAckTLVs, 20, "Gateway is odd"), "invalid argument (Gateway is odd)"},
		{"whole, with text", refused(unix.EINVAL, flagAckTLVs, 21, "Gateway is odd"), "invalid argument (Gateway is odd)"},
		{"text without the flag", refused(unix.EINVAL, flagCapped, 20, "noise"), "invalid argument"},
		{"request that claims too much", message{
			header: unix.NlMsghdr{Flags: flagAckTLVs}, body: refused(unix.EINVAL, flagCapped, 4000, "").body,
		}, "invalid argument"},
	} {
		var got *RequestError
		if err := c.message.refusal(3); !errors.As(err, &got) || got.Index != 3 || got.Error() != c.want {
			t.Errorf("%s: got %v, want %q at 3", c.name, err, c.want)
		}
	}
	if err := refused(0, flagCapped, 20, "").refusal(0); err != nil {
		t.Errorf("an acknowledgement: got %v", err)
	}
	if err := (message{body: []byte{1}}).refusal(0); err == nil {
		t.Error("a message that was cut off passed for an acknowledgement")
	}
}

// FuzzParse looks for answers that the parsers cannot stand. That they come from the
// kernel does not make them right.
func FuzzParse(f *testing.F) {
	for _, r := range []Request{
		AddAddr(1, netip.MustParsePrefix("192.0.2.1/24")), AddNeighbor(1, netip.MustParseAddr("::1"), netstate.MAC{2}),
		AddRoute(Route{Link: 1, Destination: netip.MustParsePrefix("::/0")}), NewVeth("a", Attributes{MTU: 9}, "b", 0),
		NewParented("m", Attributes{}, Parented{Kind: netstate.IPvlan, Parent: 1, Mode: netstate.ModeL3, Flag: netstate.ModeVEPA}, -1),
		SetLimit(Limit{Link: 1, Rate: 1 << 33, Burst: 20_000}), AddRedirect(Redirect{Link: 1, To: 2}),
	} {
		f.Add(r.message.Serialize())
	}
	f.Add(append(make([]byte, unix.SizeofNlMsghdr), refused(unix.EINVAL, flagAckTLVs, 21, "x").body...))
	f.Fuzz(func(t *testing.T, data []byte) {
		messages, err := parseMessages(data)
		if err != nil {
			return
		}
		total := 0
		for _, m := range messages {
			total += len(m.body) + unix.SizeofNlMsghdr
			parseLink(m.body)
			parseNeighbor(m.body)
			parseQdisc(m.body)
			parseFilter(m.body)
			parseNamespaceID(m.body)
			_ = m.refusal(0)
			if a, ok := parseAddr(m.body); ok && !a.Prefix.IsValid() {
				t.Errorf("invalid address %+v", a)
			}
			if r, ok := parseRoute(m.body); ok && !r.Destination.IsValid() {
				t.Errorf("invalid route %+v", r)
			}
		}
		if total > len(data) {
			t.Errorf("%d bytes gave messages of %d", len(data), total)
		}
	})
}
