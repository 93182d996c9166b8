package libnetwork_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// snippets returns the pieces of code of a page that are in the language.
func snippets(t *testing.T, page, language string) []string {
	t.Helper()
	text := string(must[[]byte](t)(os.ReadFile(page)))
	var out []string
	for _, piece := range strings.Split(text, "\n```"+language+"\n")[1:] {
		code, _, _ := strings.Cut(piece, "\n```")
		out = append(out, code)
	}
	if len(out) == 0 {
		t.Fatalf("%s has no code in %q", page, language)
	}
	return out
}

// Rules that docs/firewall.md tells operators to write keep the neighbour from a
// published port, which others still reach.
func TestOperatorRules(t *testing.T) {
	const page = "docs/firewall.md"
	for _, backend := range []string{config.FirewallNFTables, config.FirewallIPTablesNFT, config.FirewallIPTablesLegacy} {
		t.Run(backend, func(t *testing.T) {
			l := newLan(t)
			c := l.open(t, config.OptionFirewallBackend(backend))
			n := must[libnetwork.Network](t)(c.NewNetwork("bridge", "web", ""))
			published(t, c, n, "web", tcp(80, 8080), udp(80, 8080))
			check := func(language, code string) {
				for _, network := range []string{"tcp", "udp"} {
					wantAnswer(t, l.Neighbor, network, kerneltest.HostIPv4+":8080", "web "+kerneltest.NeighborIPv4)
				}
				undo := l.obey(t, backend, language, code)
				// A new chain is found within half a second.
				for end := time.Now().Add(time.Second); language == "iptables" && time.Now().Before(end); {
					if _, err := kerneltest.Ask(l.Neighbor, "tcp", kerneltest.HostIPv4+":8080", 100*time.Millisecond); err != nil {
						break
					}
				}
				for _, network := range []string{"tcp", "udp"} {
					wantSilence(t, l.Neighbor, network, kerneltest.HostIPv4+":8080")
					wantAnswer(t, l.Remote, network, kerneltest.HostIPv4+":8080", "web "+kerneltest.RemoteIPv4)
				}
				if t.Failed() {
					t.Logf("with\n%s", code)
				}
				undo()
			}
			for _, code := range snippets(t, page, "nft") {
				check("nft", code)
			}
			if backend != config.FirewallNFTables {
				check("iptables", snippets(t, page, "iptables")[0])
			}
			empty(t, c)
		})
	}
}

// obey does what a page says.
func (l *lan) obey(t *testing.T, backend, language, code string) (undo func()) {
	t.Helper()
	if language == "nft" {
		run(t, l.Host, "nft", code)
		return func() { run(t, l.Host, "nft", "delete table inet operator") }
	}
	for line := range strings.Lines(code) {
		run(t, l.Host, backend, strings.Fields(line)[1:]...)
	}
	return func() { run(t, l.Host, backend, "--flush", "DOCKER-USER") }
}
