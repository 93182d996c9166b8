package iptables

import (
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/nftevents"
	"github.com/docker/libnetwork/netstate"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func wants(t *testing.T, verb netstate.Verb, owner string, texts ...string) []want {
	t.Helper()
	var out []want
	for _, text := range texts {
		i, err := netstate.ParseIntent(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, want{entry{owner, i}, verb})
	}
	return out
}

func (f family) only(all []want) []want {
	var out []want
	for _, w := range all {
		if f.concerns(w.intent) {
			out = append(out, w)
		}
	}
	return out
}

// TestScripts holds what a restore reads: for all kinds on a host where nothing is, for one
// port beside them, for its removal, for the removal of all.
func TestScripts(t *testing.T) {
	options := Options{Instance: "0123456789ab", AcceptMark: 0x11, AcceptMask: 0xf0}
	network := wants(t, netstate.Add, "network/1", "inbound ipv4 br-1 published", "inbound ipv6 br-1 opened", "allow br-1 to br-1", "allow eth1 to br-1",
		"loopback br-1", "hairpin 172.18.0.0/16 on br-1", "masquerade 172.18.0.0/16", "hairpin fd00::/64 on br-1", "masquerade fd00::/64 as 2001:db8::1",
		"inbound ipv4 br-2 nothing", "confine ipv4 br-2", "inbound ipv6 br-2 everything", "confine ipv6 br-2", "separate br-2")
	endpoint := wants(t, netstate.Add, "endpoint/1", "publish tcp 0.0.0.0:8080 to 172.18.0.2:80", "publish udp 192.0.2.1:53 to 172.18.0.2:53",
		"publish tcp 0.0.0.0:20000-29999 to 172.18.0.2:20000", "publish sctp [::]:8080 to [fd00::2]:80", "publish udp [2001:db8::1]:6000-6010 to [fd00::2]:6000",
		"open tcp [fd00::2]:80", "open udp [fd00::2]:6000-6010")
	for _, f := range []family{familyOf(false), familyOf(true)} {
		st := newState()
		st.operators = true
		step := func(name string, w []want) {
			t.Helper()
			s := newScript(options, f)
			s.plan(st, f.only(w))
			golden(t, f.String()+"-"+name, s.String())
		}
		step("first", network)
		step("port", endpoint)
		for i := range endpoint {
			endpoint[i].verb = netstate.Remove
		}
		step("port-removed", endpoint)
		for i := range network {
			network[i].verb = netstate.Remove
		}
		step("last", network)
		if st.whole || len(st.present)+len(st.broken)+len(st.chains)+len(st.claims) > 0 || !st.operators {
			t.Errorf("%s: something is thought to be left: %+v", f, st)
		}
		for i := range endpoint {
			endpoint[i].verb = netstate.Add
		}
		for i := range network {
			network[i].verb = netstate.Add
		}
	}
}

func TestNamesOfChains(t *testing.T) {
	for _, instance := range []string{"a", "0123456789ab", "0123456789abc", strings.Repeat("-", 64)} {
		o := Options{Instance: instance, LoopbackProxied: true}
		for _, f := range []family{familyOf(false), familyOf(true)} {
			for _, table := range f.tables() {
				for _, chain := range f.chains(table) {
					if name := o.prefix() + chain; len(name) > 28 || !plain(name) {
						t.Errorf("chain %q: is too long, or has to be quoted", name)
					}
				}
			}
			if len(o.staticComment(f)) > maxComment {
				t.Errorf("comment %q: is too long", o.staticComment(f))
			}
		}
	}
}

func TestExplain(t *testing.T) {
	failed := errors.New("exit status 2")
	const input = "*nat\n-A X -j Y\nCOMMIT\n"
	for _, c := range []struct {
		complaint string
		kind      cnm.Kind
		want      string
	}{
		{"", cnm.Internal, "restore: exit status 2"},
		{
			"iptables-restore v1.8.9 (legacy): Couldn't load target `Y':No such file or directory\n\nError occurred at line: 2\nTry `iptables-restore -h' or 'iptables-restore --help' for more information.\n",
			cnm.Internal, "restore: exit status 2: iptables-restore v1.8.9 (legacy): Couldn't load target `Y':No such file or directory; Error occurred at line: 2: \"-A X -j Y\"",
		},
		{"iptables-restore: line 99 failed\n", cnm.Internal, "restore: exit status 2: iptables-restore: line 99 failed"},
		{"Permission denied (you must be root)", cnm.Forbidden, "restore: exit status 2: Permission denied (you must be root) (this needs root, or the capabilities CAP_NET_ADMIN and CAP_NET_RAW)"},
		{"can't initialize table `nat': Table does not exist (do you need to insmod?)", cnm.Unsupported, "restore: exit status 2: can't initialize table `nat': Table does not exist (do you need to insmod?)"},
		{"Another app is currently holding the xtables lock", cnm.Unavailable, "restore: exit status 2: Another app is currently holding the xtables lock"},
		{"iptables: Resource temporarily unavailable.", cnm.Conflict, "restore: the tables were changed meanwhile: exit status 2: iptables: Resource temporarily unavailable."},
	} {
		err := explain("restore", input, c.complaint, failed)
		if err.Error() != c.want || !errors.Is(err, c.kind) || !errors.Is(err, failed) || errors.Is(err, errBusy) != (c.kind == cnm.Conflict) {
			t.Errorf("%q: got %q of kind %s, want %q of kind %s", c.complaint, err, cnm.KindOf(err), c.want, c.kind)
		}
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                     nil,
		`  a  b `:              {"a", "b"},
		`-m "" x`:              {"-m", "", "x"},
		`"a b" c"d e"f`:        {"a b", "cd ef"},
		`"a \"b\\\' c" d\"e f`: {`a "b\' c`, `d\e f`},
		`"open`:                {"open"},
	} {
		if diff := cmp.Diff(want, words(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

// FuzzRead reads what somebody may have added to the tables: what is taken for ours must be
// what we could have made, and must be undone by a script of sound lines.
func FuzzRead(f *testing.F) {
	options, four := Options{Instance: "x"}, familyOf(false)
	built := newScript(options, four)
	built.build(newState())
	base := strings.ReplaceAll(built.String(), "-I ", "-A ")
	for _, seed := range []string{
		"", "*filter\n:DOCKER-USER - [0:0]\n", ":LN-x.OLD - [0:0]\n", "*nat\n-A PREROUTING -j LN-x.PRE\n",
		`-A LN-x.PUB-ANY -m comment --comment "a publish tcp 0.0.0.0:80 to 172.18.0.2:80" -j DNAT`,
		`-A LN-x.PUB-ANY -m comment --comment "a publish tcp 0.0.0.0:80 to 172.18.0.2:80" -j ACCEPT`,
		"*filter\n" + `-A LN-x.KEEP -m comment --comment "a confine ipv4 br-1" -j LN-x.CONFINED`,
		`-A FORWARD -m comment --comment "libnetwork x layout 0" -g Y`, `-A LN-x.FWD --comment "\\`, "-A  ", "-A X -j",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		st := options.read(four, base+text)
		if len(st.present) > 0 && !st.whole {
			t.Error("something is in force, but what leads there is not")
		}
		var all []want
		for e := range st.present {
			if back, ok := parseComment(e.comment()); !ok || back != e {
				t.Errorf("%+v: comes back as %+v", e, back)
			}
			if !four.concerns(e.intent) || st.broken[e] != nil {
				t.Errorf("%+v: is not of this family, or broken too", e)
			}
			all = append(all, want{e, netstate.Remove})
		}
		s := newScript(options, four)
		s.plan(st, all)
		for line := range strings.Lines(s.String()) {
			if !strings.HasSuffix(line, "\n") || !strings.ContainsRune("*:-C", rune(line[0])) {
				t.Errorf("odd line %q", line)
			}
		}
		if len(st.present)+len(st.broken)+len(st.chains)+len(st.claims) > 0 {
			t.Errorf("left: %+v", st)
		}
	})
}

// FuzzForeign reads messages of the kernel; those of our own processes never count.
func FuzzForeign(f *testing.F) {
	options := Options{Instance: "x"}
	message := func(kind uint16, family byte, attributes ...string) []byte {
		body := []byte{family, 0, 0, 0}
		for i, text := range attributes {
			body = binary.NativeEndian.AppendUint16(body, uint16(len(text)+5))
			body = binary.NativeEndian.AppendUint16(body, uint16(i+1))
			for body = append(body, text+"\x00"...); len(body)%4 != 0; {
				body = append(body, 0)
			}
		}
		head := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
		head = binary.NativeEndian.AppendUint16(head, unix.NFNL_SUBSYS_NFTABLES<<8|kind)
		return append(append(head, make([]byte, 10)...), body...)
	}
	for _, c := range []struct {
		message []byte
		want    bool
	}{
		{nil, false},
		{message(unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV4, "nat"), true},
		{message(unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV4, "mangle"), false},
		{message(unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV6, "raw"), false},
		{message(unix.NFT_MSG_DELTABLE, unix.NFPROTO_INET, "nat"), false},
		{message(unix.NFT_MSG_NEWTABLE, unix.NFPROTO_IPV4, "nat"), false},
		{message(unix.NFT_MSG_NEWRULE, unix.NFPROTO_IPV6, "nat", "LN-x.PRE"), true},
		{message(unix.NFT_MSG_NEWRULE, unix.NFPROTO_IPV6, "nat", "LN-xy.PRE"), false},
		{message(unix.NFT_MSG_NEWRULE, unix.NFPROTO_IPV4, "filter", "FORWARD"), false},
		{message(unix.NFT_MSG_DELRULE, unix.NFPROTO_IPV4, "filter", "FORWARD"), true},
		{message(unix.NFT_MSG_DELRULE, unix.NFPROTO_IPV4, "filter", "INPUT"), false},
		{message(unix.NFT_MSG_NEWCHAIN, unix.NFPROTO_IPV4, "filter", "", chainUser), true},
		{message(unix.NFT_MSG_DELCHAIN, unix.NFPROTO_IPV4, "filter", "", "LN-x.FWD"), true},
		{message(unix.NFT_MSG_NEWGEN, unix.NFPROTO_IPV4, "filter", "LN-x.FWD", "LN-x.FWD"), false},
		{append(message(unix.NFT_MSG_NEWTABLE, unix.NFPROTO_IPV4, "nat"), message(unix.NFT_MSG_DELTABLE, unix.NFPROTO_IPV4, "nat")...), true},
	} {
		if got := nftevents.Any(c.message, options.concerned); got != c.want {
			f.Errorf("%q: got %v, want %v", c.message, got, c.want)
		}
		f.Add(c.message)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		// Whatever it is, it is read to its end and no further.
		nftevents.Any(data, func(m nftevents.Message) bool {
			options.concerned(m)
			return false
		})
	})
}
