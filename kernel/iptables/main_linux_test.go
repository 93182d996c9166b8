package iptables_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

// each runs a test with both variants side by side.
func each(t *testing.T, test func(t *testing.T, variant string)) {
	t.Helper()
	eachAlone(t, func(t *testing.T, variant string) {
		t.Parallel()
		test(t, variant)
	})
}

// eachAlone is for what changes the environment.
func eachAlone(t *testing.T, test func(t *testing.T, variant string)) {
	t.Helper()
	kerneltest.RequireRoot(t)
	for _, variant := range []string{iptables.VariantNFT, iptables.VariantLegacy} {
		t.Run(variant, func(t *testing.T) { test(t, variant) })
	}
}

// families are the names of the programs.
func families() []string { return []string{"iptables", "ip6tables"} }

// scratch is a namespace with a filter.
type scratch struct {
	t         testing.TB
	namespace string
	variant   string
	filter    *iptables.Filter
}

// instance has a name of which only a part is in the names of the chains; those start with
// prefix.
const (
	instance = "test-instance-with-a-long-name"
	prefix   = "LN-tes+59807c21."
)

func newScratch(t testing.TB, variant string) *scratch {
	t.Helper()
	s := &scratch{t: t, namespace: kerneltest.NewNamespace(t), variant: variant}
	s.filter = s.open(iptables.Options{Instance: instance})
	return s
}

func (s *scratch) open(options iptables.Options) *iptables.Filter {
	s.t.Helper()
	options.Variant = s.variant
	options.Run = s.do
	filter, err := iptables.Open(options)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if err := filter.Close(); err != nil {
			s.t.Error(err)
		}
	})
	return filter
}

// do runs fn in the namespace.
func (s *scratch) do(fn func() error) error { return kerneltest.Do(s.namespace, fn) }

// try runs a program of the variant in the namespace: "iptables" with its arguments.
func (s *scratch) try(input string, words ...string) (string, error) {
	program := words[0]
	if family, rest, found := strings.Cut(program, "tables"); found {
		program = "/usr/sbin/" + family + "tables-" + s.variant + rest
	}
	var out []byte
	err := s.do(func() (err error) {
		command := exec.Command(program, words[1:]...)
		command.Stdin = strings.NewReader(input)
		out, err = command.CombinedOutput()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(words, " "), err, out)
	}
	return string(out), nil
}

// run splits lines at blanks and runs each.
func (s *scratch) run(lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		if _, err := s.try("", strings.Fields(line)...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// restore gives a program its rules.
func (s *scratch) restore(family, text string) {
	s.t.Helper()
	if _, err := s.try(text, family+"-restore", "--noflush", "--wait"); err != nil {
		s.t.Fatal(err)
	}
}

// saved returns what families hold, both if none is named, without the remarks, which have
// the time.
func (s *scratch) saved(which ...string) string {
	s.t.Helper()
	var out strings.Builder
	if len(which) == 0 {
		which = families()
	}
	for _, family := range which {
		text, err := s.try("", family+"-save")
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range strings.Lines(text) {
			if !strings.HasPrefix(line, "#") {
				out.WriteString(line)
			}
		}
	}
	return out.String()
}

func changes(verb netstate.Verb, owner string, intents ...netstate.Intent) netstate.Changes {
	var out netstate.Changes
	for _, i := range intents {
		out = append(out, netstate.Change{Verb: verb, Owner: owner, Object: i})
	}
	return out
}

func (s *scratch) apply(changes ...netstate.Changes) {
	s.t.Helper()
	for _, c := range changes {
		if err := s.filter.Apply(context.Background(), c); err != nil {
			s.t.Fatal(err)
		}
	}
}

// observed returns the texts of all intents with their owners.
func (s *scratch) observed() []string {
	s.t.Helper()
	parts, err := s.filter.Observe(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	var out []string
	for _, p := range parts {
		for _, i := range p.Intents {
			out = append(out, p.Owner+" "+i.String())
		}
	}
	return out
}

func parse(t testing.TB, texts ...string) []netstate.Intent {
	t.Helper()
	var out []netstate.Intent
	for _, text := range texts {
		i, err := netstate.ParseIntent(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

// all has each kind in each shape, in the order of the texts.
func all(t testing.TB) []netstate.Intent {
	return parse(t,
		"allow br-1 to br-1", "confine ipv4 br-2", "confine ipv6 br-2",
		"hairpin 172.18.0.0/16 on br-1", "hairpin fd00::/64 on br-1",
		"inbound ipv4 br-1 published", "inbound ipv4 br-2 nothing", "inbound ipv6 br-1 opened", "inbound ipv6 br-2 everything",
		"loopback br-1", "masquerade 172.18.0.0/16", "masquerade 172.19.0.0/16 as 192.0.2.1", "masquerade fd00::/64 as 2001:db8::1",
		"masquerade fd01::/64", "open sctp 172.18.0.2:70-80", "open tcp [fd00::2]:80",
		"publish sctp [::]:8080 to [fd00::2]:80", "publish tcp 0.0.0.0:8080 to 172.18.0.2:80",
		"publish tcp 192.0.2.1:8080 to 172.18.0.3:80", "publish tcp [::]:8080 to [fd00::2]:80",
		"publish udp 0.0.0.0:20000-29999 to 172.18.0.2:20000", "publish udp 192.0.2.1:30000-30001 to 172.18.0.2:30000",
		"publish udp [::1]:20000-29999 to [fd00::2]:20000", "separate br-3")
}

// ports publishes n of them in a row, for one container.
func ports(first, n int) []netstate.Intent {
	var out []netstate.Intent
	for i := range n {
		out = append(out, netstate.Intent{
			Kind: netstate.Publish, Protocol: netstate.TCP, Host: netip.IPv4Unspecified(),
			Port: uint16(first + i), PortEnd: uint16(first + i), Target: netip.MustParseAddr("172.18.0.2"), TargetPort: 80,
		})
	}
	return out
}

func owned(owner string, intents []netstate.Intent) []string {
	var out []string
	for _, i := range intents {
		out = append(out, owner+" "+i.String())
	}
	return out
}

// journal puts programs before those of iptables that write down each of their calls, and
// returns what was called since the last time, by its name.
func journal(t *testing.T) func() []string {
	t.Helper()
	folder := t.TempDir()
	log := filepath.Join(folder, "log")
	for _, family := range families() {
		for _, variant := range []string{iptables.VariantNFT, iptables.VariantLegacy} {
			for _, suffix := range []string{"save", "restore"} {
				name := family + "-" + variant + "-" + suffix
				script := fmt.Sprintf("#!/bin/sh\necho %s-%s >>%s\nexec /usr/sbin/%s \"$@\"\n", family, suffix, log, name)
				if err := os.WriteFile(filepath.Join(folder, name), []byte(script), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	return func() []string {
		t.Helper()
		text, err := os.ReadFile(log)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		if err := os.RemoveAll(log); err != nil {
			t.Fatal(err)
		}
		return append([]string(nil), strings.Fields(string(text))...)
	}
}
