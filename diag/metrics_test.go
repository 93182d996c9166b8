package diag

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

var update = flag.Bool("update", false, "write the tables of docs/metrics.md and docs/doctor.md anew")

// written compares what follows begin in a page with a table, or writes it.
func written(t *testing.T, page, begin, table string) {
	t.Helper()
	content, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(content), begin)
	if !found {
		t.Fatalf("%s: has no line %q", page, begin)
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+table), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if rest != table {
		t.Errorf("%s is not what the code has; go test ./diag -run %s -update. Want:\n%s", page, t.Name(), table)
	}
}

func TestMetricsAreDocumented(t *testing.T) {
	kinds := map[prometheus.ValueType]string{gauge: "gauge", counter: "counter", histogramKind: "histogram"}
	var table strings.Builder
	table.WriteString("\n| metric | type | labels | what |\n|---|---|---|---|\n")
	for _, m := range metrics(false) {
		labels := ""
		if len(m.labels) > 0 {
			labels = "`" + strings.Join(m.labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", m.name, kinds[m.kind], labels, m.help)
	}
	written(t, "../docs/metrics.md", "<!-- What follows is written by TestMetricsAreDocumented with -update. -->\n", table.String())
}

func TestChecksAreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| check | when all is well |\n|---|---|\n")
	for _, c := range checks() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", c.name, c.fine)
	}
	written(t, "../docs/doctor.md", "<!-- What follows is written by TestChecksAreDocumented with -update. -->\n", table.String())
}

func TestTotalsNeverFall(t *testing.T) {
	totals := newTotals()
	want := func(n uint64) {
		t.Helper()
		if got := totals.sums["bytes"+separator+"web"]; got != n {
			t.Errorf("sum %d, want %d", got, n)
		}
	}
	add := func(source string, n uint64) { totals.add(source, n, "bytes", "web") }
	add("a", 10)
	add("b", 5)
	want(15)
	add("a", 12)
	want(17)
	add("a", 3) // it began anew
	want(20)
	totals.forget(map[string]bool{"b": true}) // a has gone
	add("b", 6)
	want(21)
	add("a", 4) // another of that name
	want(25)
	totals.drop(func(series []string) bool { return series[1] != "web" })
	want(0)
}

func TestSecretsAreHidden(t *testing.T) {
	for text, want := range map[string]string{
		"https://user:pass@store:2379/x": "https://hidden@store:2379/x", "store:2379": "store:2379", "10.0.0.0/8": "10.0.0.0/8",
		"": "", "user:pa%zz@store": hidden,
	} {
		if got := withoutUser(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	given := map[string]any{"Password": "x", "nested": map[string]any{"api-token": 7, "mtu": 1400}, "proxy": true, "odd": []int{1}}
	got := concealAny("generic", given)
	if text := fmt.Sprint(got); strings.Contains(text, "x ") || text != "map[Password:(hidden) nested:map[api-token:(hidden) mtu:1400] odd:(hidden) proxy:true]" {
		t.Errorf("%s", text)
	}
}

func TestFileNameStaysInside(t *testing.T) {
	for id, want := range map[string]string{"web": "web", "../../etc/passwd": ".._.._etc_passwd", "..": "_..", "": "_", "a\nb": "a_b"} {
		if got := fileName(id); got != want {
			t.Errorf("%q: %q, want %q", id, got, want)
		}
	}
}

// What stands before the @ of an address with a name and password is never shown.
func FuzzWithoutUser(f *testing.F) {
	f.Add("https", "me", "pass", "example.org/x")
	f.Add("", "a:b", "%zz", "h:1")
	f.Add("etcd", "", "p@q", "")
	f.Fuzz(func(t *testing.T, scheme, user, password, rest string) {
		const mark = "S3cr3tS3cr3t"
		text := scheme + "://" + user + ":" + mark + password + "@" + rest
		if got := withoutUser(text); strings.Contains(got, mark) {
			t.Errorf("%q: %q", text, got)
		}
	})
}
