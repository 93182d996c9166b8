package resolvconf_test

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/resolvconf"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files instead of comparing with them")

var listener = netip.MustParseAddr("127.0.0.11")

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func override(t *testing.T, f *resolvconf.File, servers []netip.Addr, search, options []string) {
	t.Helper()
	if err := f.Override(servers, search, options); err != nil {
		t.Fatal(err)
	}
}

func TestTransform(t *testing.T) {
	tests := []struct {
		name, origin string
		change       func(*testing.T, *resolvconf.File)
	}{
		{"empty", "", func(*testing.T, *resolvconf.File) {}},
		{"plain", "plain.conf", func(*testing.T, *resolvconf.File) {}},
		{"plain-ipv4", "plain.conf", func(_ *testing.T, f *resolvconf.File) { f.DropLoopback(); f.DropIPv6() }},
		{"plain-internal", "plain.conf", func(_ *testing.T, f *resolvconf.File) { f.Internal(listener, 0) }},
		{"stub", "stub.conf", func(_ *testing.T, f *resolvconf.File) { f.DropLoopback(); f.DropIPv6() }},
		{"stub-internal", "stub.conf", func(_ *testing.T, f *resolvconf.File) { f.Internal(listener, 0) }},
		{"many", "many.conf", func(_ *testing.T, f *resolvconf.File) { f.DropLoopback() }},
		{"many-internal", "many.conf", func(_ *testing.T, f *resolvconf.File) { f.Internal(listener, 0) }},
		{"odd", "odd.conf", func(_ *testing.T, f *resolvconf.File) { f.DropLoopback() }},
		{"odd-internal", "odd.conf", func(_ *testing.T, f *resolvconf.File) { f.Internal(listener, 5) }},
		{"override", "plain.conf", func(t *testing.T, f *resolvconf.File) {
			override(t, f, addresses("127.0.0.1", "9.9.9.9"), []string{"a.example b.example", "c.example"}, []string{"ndots:3"})
			f.DropLoopback()
		}},
		{"override-clears-search", "plain.conf", func(t *testing.T, f *resolvconf.File) { override(t, f, nil, []string{"."}, nil) }},
		{"override-internal", "stub.conf", func(t *testing.T, f *resolvconf.File) {
			override(t, f, addresses("127.0.0.1", "127.0.0.11"), nil, nil)
			f.Internal(listener, -1)
		}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var origin []byte
			if test.origin != "" {
				var err error
				if origin, err = os.ReadFile(filepath.Join("testdata", test.origin)); err != nil {
					t.Fatal(err)
				}
			}
			file := resolvconf.Parse(origin)
			test.change(t, &file)
			got := file.Render("/etc/resolv.conf")
			compareGolden(t, test.name, got)
			if again := file.Render("/etc/resolv.conf"); !bytes.Equal(got, again) {
				t.Errorf("rendered again:\n%s", again)
			}
			if resolvconf.Modified(got) {
				t.Error("the text counts as modified")
			}
		})
	}
}

func compareGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *rewrite {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, content string
		want          resolvconf.File
	}{
		{"empty", "", resolvconf.File{}},
		{"comments", "# nameserver 10.0.0.1\n;nameserver 10.0.0.2\n", resolvconf.File{}},
		{"zone", "nameserver fe80::1%eth0\n", resolvconf.File{Servers: addresses("fe80::1%eth0")}},
		{"no line end", "nameserver 10.0.0.1", resolvconf.File{Servers: addresses("10.0.0.1")}},
		{"carriage return", "nameserver 10.0.0.1\r\nsearch a\r\n", resolvconf.File{Servers: addresses("10.0.0.1"), Search: []string{"a"}}},
		{"tabs", "nameserver\t10.0.0.1\t\nsearch\ta\tb\n", resolvconf.File{Servers: addresses("10.0.0.1"), Search: []string{"a", "b"}}},
		{"keyword does not start the line", " nameserver 10.0.0.1\n", resolvconf.File{}},
		{"longer keyword", "nameservers 10.0.0.1\n", resolvconf.File{}},
		{"search after domain", "domain a\nsearch b c\n", resolvconf.File{Search: []string{"b", "c"}}},
		{"domain after search", "search b c\ndomain a x\n", resolvconf.File{Search: []string{"a"}}},
		{"search without values", "search a\nsearch\nsearch \ndomain\t\n", resolvconf.File{Search: []string{"a"}}},
		{"options add up", "options a b\noptions c\n", resolvconf.File{Options: []string{"a", "b", "c"}}},
		{"comment behind values", "search a # b\noptions c ;d\nnameserver #10.0.0.1\n", resolvconf.File{Search: []string{"a"}, Options: []string{"c"}}},
		{"not an address", "nameserver 10.0.0\nnameserver example\n", resolvconf.File{}},
		{"order and repetition", "nameserver 10.0.0.2\nnameserver 10.0.0.1\nnameserver 10.0.0.2\n", resolvconf.File{Servers: addresses("10.0.0.2", "10.0.0.1", "10.0.0.2")}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if diff := compare(test.want, resolvconf.Parse([]byte(test.content))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func compare(want, got resolvconf.File) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(resolvconf.File{}), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty())
}

func TestInternal(t *testing.T) {
	tests := []struct {
		name  string
		file  string
		given []netip.Addr
		ndots int
		want  []resolvconf.External
		opts  []string
	}{
		{"none", "", nil, 0, nil, []string{"ndots:0"}},
		{"no default for ndots", "", nil, -1, nil, nil},
		{"ndots is set", "options ndots:4\n", nil, 0, nil, []string{"ndots:4"}},
		{"host's loopback", "nameserver 127.0.0.53\nnameserver 10.0.0.1\nnameserver ::1\n", nil, 0,
			[]resolvconf.External{{Addr: netip.MustParseAddr("127.0.0.53"), Host: true}, {Addr: netip.MustParseAddr("10.0.0.1")}, {Addr: netip.MustParseAddr("::1"), Host: true}},
			[]string{"ndots:0"}},
		{"host's interface", "nameserver fe80::1%eth0\n", nil, 0,
			[]resolvconf.External{{Addr: netip.MustParseAddr("fe80::1%eth0"), Host: true}}, []string{"ndots:0"}},
		{"container's loopback", "nameserver 10.0.0.1\n", addresses("127.0.0.1"), 0,
			[]resolvconf.External{{Addr: netip.MustParseAddr("127.0.0.1")}}, []string{"ndots:0"}},
		{"itself", "", addresses("127.0.0.11", "10.0.0.1"), 0,
			[]resolvconf.External{{Addr: netip.MustParseAddr("10.0.0.1")}}, []string{"ndots:0"}},
		{"the host's server on the same address", "nameserver 127.0.0.11\n", nil, 0,
			[]resolvconf.External{{Addr: listener, Host: true}}, []string{"ndots:0"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := resolvconf.Parse([]byte(test.file))
			override(t, &file, test.given, nil, nil)
			got := file.Internal(listener, test.ndots)
			if diff := cmp.Diff(test.want, got, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("externals (-want +got):\n%s", diff)
			}
			file.DropLoopback() // must not drop the embedded resolver
			file.DropIPv6()
			if diff := compare(resolvconf.File{Servers: []netip.Addr{listener}, Options: test.opts}, file); diff != "" {
				t.Errorf("file (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDrops(t *testing.T) {
	content := []byte("nameserver 127.0.0.1\nnameserver 127.1.2.3\nnameserver ::1\nnameserver ::ffff:127.0.0.1\nnameserver 10.0.0.1\nnameserver fd00::1\nnameserver fe80::1%eth0\n")
	file := resolvconf.Parse(content)
	file.DropLoopback()
	if diff := compare(resolvconf.File{Servers: addresses("10.0.0.1", "fd00::1", "fe80::1%eth0")}, file); diff != "" {
		t.Errorf("without loopback (-want +got):\n%s", diff)
	}
	file.DropIPv6()
	if diff := compare(resolvconf.File{Servers: addresses("10.0.0.1")}, file); diff != "" {
		t.Errorf("without IPv6 (-want +got):\n%s", diff)
	}
}

func TestInvalidOverride(t *testing.T) {
	tests := []struct {
		name            string
		servers         []netip.Addr
		search, options []string
		want            string
	}{
		{"server", []netip.Addr{{}}, nil, nil, `override resolv.conf: name server "invalid IP": is not an address: give one`},
		{"zone", []netip.Addr{netip.MustParseAddr("fe80::1%a\nb")}, nil, nil, `override resolv.conf: name server "fe80::1%a\nb": is not an address: give one`},
		{"search", nil, []string{"a\nnameserver 6.6.6.6"}, nil, `override resolv.conf: search domain "a\nnameserver 6.6.6.6": holds a control character: leave it out`},
		{"options", nil, nil, []string{"ndots:1", "# x"}, `override resolv.conf: option "# x": holds a comment: leave it out`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := resolvconf.Parse([]byte("nameserver 10.0.0.1\n"))
			before := file.Render("x")
			valid := addresses("9.9.9.9")
			err := file.Override(append(valid, test.servers...), append([]string{"valid"}, test.search...), append([]string{"valid"}, test.options...))
			if !errors.Is(err, cnm.Invalid) || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			if after := file.Render("x"); !bytes.Equal(before, after) {
				t.Errorf("the file has changed:\n%s", after)
			}
		})
	}
}

func TestCopyIsIndependent(t *testing.T) {
	// With three notes and three options there is room for a fourth in the lists.
	original := resolvconf.Parse([]byte("nameserver 127.0.0.1\nnameserver 10.0.0.1\nnameserver x\nnameserver y\nnameserver z\noptions a\noptions b\noptions c\n"))
	before := original.Render("x")
	one, two := original, original
	one.DropLoopback()
	two.Internal(listener, 3)
	one.Internal(listener, 0)
	if after := original.Render("x"); !bytes.Equal(before, after) {
		t.Errorf("the original became:\n%s", after)
	}
	if text := one.Render("x"); bytes.Contains(text, []byte("ndots:3")) || !bytes.Contains(text, []byte("127.0.0.1: on the host")) {
		t.Errorf("one copy shows in the other:\n%s", text)
	}
}

// TestOriginFromAnotherContainer has a file of ours for the origin: its comments tell
// about another container.
func TestOriginFromAnotherContainer(t *testing.T) {
	outer := resolvconf.Parse([]byte("nameserver 10.0.0.1\nnameserver 127.0.0.1\n# mine\n"))
	outer.DropLoopback()
	inner := resolvconf.Parse(outer.Render("outside"))
	plain := resolvconf.Parse([]byte("nameserver 10.0.0.1\n# mine\n"))
	if diff := cmp.Diff(string(plain.Render("inside")), string(inner.Render("inside"))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestModified(t *testing.T) {
	file := resolvconf.Parse([]byte("nameserver 10.0.0.1\n"))
	content := string(file.Render("/etc/resolv.conf"))
	quoting := resolvconf.Parse([]byte("# see # libnetwork: hash 0\n"))
	tests := []struct {
		name, content string
		want          bool
	}{
		{"as written", content, false},
		{"a comment like the hash", string(quoting.Render("x")), false},
		{"interrupted write", content + "\n\n\n", false},
		{"made by the user", "nameserver 10.0.0.1\n", true},
		{"empty", "", true},
		{"line behind", content + "nameserver 10.0.0.2\n", true},
		{"line before", "nameserver 10.0.0.2\n" + content, true},
		{"cut off", content[:len(content)-3], true},
		{"written twice", content + content, true},
	}
	for _, test := range tests {
		if got := resolvconf.Modified([]byte(test.content)); got != test.want {
			t.Errorf("%s: modified %v, want %v", test.name, got, test.want)
		}
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "container", "resolv.conf")
	for _, content := range []string{"nameserver 10.0.0.1\nsearch a\n", "nameserver 10.0.0.2\n"} {
		if err := resolvconf.WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("file holds %q, error %v", got, err)
		}
	}
	if err := resolvconf.WriteFile(filepath.Dir(path), nil); !errors.Is(err, cnm.Invalid) {
		t.Errorf("write to a folder: error %v, want kind %q", err, cnm.Invalid)
	}
}
