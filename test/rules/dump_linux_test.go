package rules

import (
	"context"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/nft"
	"github.com/docker/libnetwork/netstate"
)

// Who owns the rules of the pages.
const (
	instance = "example"
	table    = "libnetwork-" + instance
)

// dumps are what the programs print of a scenario, made readable.
type dumps struct{ nft, iptables, ip6tables string }

// filter is what the test needs of a back end.
type filter interface {
	Apply(context.Context, netstate.Changes) error
	Close() error
}

// dump has the back ends carry the scenario out, each in a namespace of its own.
func (s scenario) dump(t *testing.T) dumps {
	t.Helper()
	var out dumps
	namespace := kerneltest.NewNamespace(t)
	s.apply(t, func() (filter, error) {
		return nft.Open(nft.Options{Table: table, AcceptMark: s.mark, AcceptMask: s.mask, LoopbackProxied: s.proxied})
	}, namespace)
	out.nft = readableTable(run(t, namespace, "nft", "list", "table", "inet", table))

	saves := make(map[string][2]string)
	for _, variant := range []string{iptables.VariantNFT, iptables.VariantLegacy} {
		namespace := kerneltest.NewNamespace(t)
		s.apply(t, func() (filter, error) {
			return iptables.Open(iptables.Options{
				Instance: instance, Variant: variant, AcceptMark: s.mark, AcceptMask: s.mask, LoopbackProxied: s.proxied,
				Run: func(fn func() error) error { return kerneltest.Do(namespace, fn) },
			})
		}, namespace)
		saves[variant] = [2]string{
			readableSave(run(t, namespace, "iptables-"+variant+"-save")),
			readableSave(run(t, namespace, "ip6tables-"+variant+"-save")),
		}
	}
	for i, family := range []string{"iptables", "ip6tables"} {
		if diff := cmp.Diff(saves[iptables.VariantNFT][i], saves[iptables.VariantLegacy][i]); diff != "" {
			t.Errorf("%s: the older interface holds other rules than the newer one (-newer +older):\n%s", family, diff)
		}
	}
	out.iptables, out.ip6tables = saves[iptables.VariantNFT][0], saves[iptables.VariantNFT][1]
	return out
}

func (s scenario) apply(t *testing.T, open func() (filter, error), namespace string) {
	t.Helper()
	var f filter
	err := kerneltest.Do(namespace, func() (err error) {
		f, err = open()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // what it did is looked at
	var changes netstate.Changes
	for _, i := range s.intents() {
		changes = append(changes, netstate.Change{Verb: netstate.Add, Owner: i.owner, Object: i.intent})
	}
	if err := f.Apply(context.Background(), changes); err != nil {
		t.Fatal(err)
	}
}

// run runs a program in a namespace and returns what it prints.
func run(t *testing.T, namespace, program string, arguments ...string) string {
	t.Helper()
	var out []byte
	err := kerneltest.Do(namespace, func() (err error) {
		out, err = exec.Command(program, arguments...).Output()
		return err
	})
	if err != nil {
		t.Fatalf("%s: %v", program, err)
	}
	return string(out)
}

// version stands for the digest of the static rules, which is another one whenever they
// change, and for other settings.
const version = "VERSION"

// readableTable leaves out the sets and maps that are empty, and writes each element on a
// line of its own, sorted: the order of some is that in which they came.
func readableTable(text string) string {
	text = regexp.MustCompile(`\blayout-[0-9a-f]+`).ReplaceAllString(text, "layout-"+version)
	text = regexp.MustCompile(`(?ms)^\t(?:set|map) \S+ \{\n[^}]*?^\t\}\n\n`).ReplaceAllStringFunc(text, func(set string) string {
		if !strings.Contains(set, "elements = {") {
			return ""
		}
		return set
	})
	return regexp.MustCompile(`(?m)^\t\telements = \{([^}]*)\}$`).ReplaceAllStringFunc(text, func(elements string) string {
		list := strings.TrimSuffix(strings.TrimPrefix(elements, "\t\telements = {"), "}")
		items := strings.Split(list, ",")
		for i, item := range items {
			items[i] = strings.TrimSpace(item)
		}
		slices.Sort(items)
		return "\t\telements = { " + strings.Join(items, ",\n\t\t\t     ") + " }"
	})
}

// readableSave keeps our chains and what leads to them: a table for each paragraph, sorted,
// without counters and remarks.
func readableSave(text string) string {
	text = regexp.MustCompile(` layout [0-9a-f]+"`).ReplaceAllString(text, ` layout `+version+`"`)
	var tables []string
	for _, part := range strings.Split(text, "COMMIT\n") {
		var b strings.Builder
		for line := range strings.Lines(part) {
			switch {
			case strings.HasPrefix(line, ":") && strings.Contains(line, "LN-"+instance+"."):
				line, _, _ = strings.Cut(line, " [")
				b.WriteString(line + "\n")
			case strings.HasPrefix(line, "*"), strings.HasPrefix(line, "-A "):
				b.WriteString(line)
			}
		}
		if b.Len() > 0 {
			tables = append(tables, b.String()+"COMMIT\n")
		}
	}
	slices.SortFunc(tables, func(a, b string) int { return strings.Compare(order(a), order(b)) })
	return strings.Join(tables, "\n")
}

// order puts tables in the order in which a packet comes to them.
func order(table string) string {
	for i, name := range []string{"*raw", "*filter", "*nat"} {
		if strings.HasPrefix(table, name) {
			return string(rune('a' + i))
		}
	}
	return table
}

// names returns the chains, sets and maps that a dump has.
func names(dump string) map[string]bool {
	out := make(map[string]bool)
	for _, found := range regexp.MustCompile(`(?m)^(?:\t(?:chain|set|map) |:|-A )(\S+)`).FindAllStringSubmatch(dump, -1) {
		out[found[1]] = true
	}
	return out
}
