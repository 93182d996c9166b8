package libnetwork_test

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/types"
)

// victim, in the environment, makes this binary a process that does random
// operations until it is killed. Its value is "host data run backend seed", where the
// backend may be parents of networks instead.
const victim = "LIBNETWORK_VICTIM"

const (
	killRounds     = 20
	killOperations = 590
)

// A process is killed in the middle of random operations, again and again. After
// each restart the machine holds what the records say and nothing else, and what
// somebody else has in the packet filter is as it was.
func TestKilledInTheMiddle(t *testing.T) {
	for _, test := range []struct {
		backend string
		rounds  int
	}{{config.FirewallNFTables, killRounds}, {config.FirewallIPTablesNFT, killRounds}, {config.FirewallIPTablesLegacy, killRounds / 4}} {
		t.Run(test.backend, func(t *testing.T) { killInTheMiddle(t, test.backend, test.rounds) })
	}
}

func killInTheMiddle(t *testing.T, backend string, rounds int) {
	s := newScratch(t)
	s.addForeignRules(t)
	foreign := s.allRules(t)
	firewall := config.OptionFirewallBackend(backend)
	done := 0
	for round := range rounds {
		random := rand.New(rand.NewPCG(uint64(round), 1))
		done += s.runVictim(t, backend, round, 1+random.IntN(killOperations))
		c := s.open(t, firewall)
		s.wantRecordsOnly(t, c)
		if round%5 == 4 { // otherwise the next one goes on from here
			empty(t, c)
			s.wantOnlyForeign(t, foreign)
		}
		c.Stop()
	}
	t.Logf("%d operations, %d kills", done, rounds)
	c := s.open(t, firewall)
	empty(t, c)
	s.wantOnlyForeign(t, foreign)
}

// addForeignRules are those of somebody else, before and behind ours, and with a chain in
// front of ours.
func (s scratch) addForeignRules(t *testing.T) {
	t.Helper()
	run(t, s.host, "nft", `table inet operator {
		set allowed { type ipv4_addr; flags interval; elements = { 192.0.2.0/24, 198.51.100.7 }; }
		chain forward { type filter hook forward priority -10; ip saddr @allowed accept comment "somebody"; }
		chain prerouting { type nat hook prerouting priority -110; tcp dport 9999 redirect to :80; }
	}`)
	for _, program := range []string{"iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy"} {
		for _, rule := range []string{
			"--new DOCKER-USER", "--append DOCKER-USER --match mark --mark 7 --jump DROP",
			"--new somebody", "--append FORWARD --jump somebody", "--append somebody --jump RETURN",
			"--table nat --append PREROUTING --protocol tcp --dport 9998 --jump REDIRECT --to-ports 80",
			"--table nat --append POSTROUTING --match mark --mark 7 --jump MASQUERADE",
			"--table raw --append PREROUTING --in-interface dummy0 --jump DROP",
			"--table mangle --append FORWARD --match comment --comment somebody --jump ACCEPT",
		} {
			run(t, s.host, program, strings.Fields(rule)...)
		}
	}
}

// allRules is what is in the packet filter, whoever made it.
func (s scratch) allRules(t *testing.T) string {
	t.Helper()
	text := run(t, s.host, "nft", "--handle", "list", "table", "inet", "operator")
	for _, program := range []string{"iptables-nft-save", "ip6tables-nft-save", "iptables-legacy-save", "ip6tables-legacy-save"} {
		text += withoutCounters(run(t, s.host, program))
	}
	return text
}

// wantOnlyForeign fails if the machine holds anything of ours, or not all that somebody
// else had.
func (s scratch) wantOnlyForeign(t *testing.T, foreign string) {
	t.Helper()
	s.wantEmpty(t)
	if diff := cmp.Diff(foreign, s.allRules(t)); diff != "" {
		t.Errorf("somebody else's rules (-before +after):\n%s", diff)
	}
}

// runVictim lets a process do that many operations and kills it in the middle of the
// next.
func (s scratch) runVictim(t *testing.T, backend string, seed, operations int) int {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %s %d", victim, s.host, s.data, s.run, backend, seed))
	command.Stderr = os.Stderr
	out := must[interface{ Read([]byte) (int, error) }](t)(command.StdoutPipe())
	ok(t, command.Start())
	lines := bufio.NewScanner(out)
	seen := 0
	for seen < operations && lines.Scan() {
		seen++
	}
	ok(t, command.Process.Kill())
	_ = command.Wait()
	if seen < operations {
		t.Fatalf("the process ended by itself after %d operations", seen)
	}
	return seen
}

// wantRecordsOnly compares the machine with the controller: as many bridges as
// networks, as many ports as endpoints in sandboxes, as many namespaces as sandboxes,
// and in each what belongs there.
func (s scratch) wantRecordsOnly(t *testing.T, c libnetwork.NetworkController) {
	t.Helper()
	joined := 0
	for _, n := range c.Networks() {
		for _, ep := range n.Endpoints() {
			if ep.Info().Sandbox() != nil {
				joined++
			}
		}
	}
	var keys []string
	for _, sb := range c.Sandboxes() {
		keys = append(keys, sb.Key())
	}
	picture := s.picture(t, keys...)
	count := func(what string) int { return strings.Count(picture, what) }
	pinned, _ := os.ReadDir(s.run + "/netns")
	if got, want := count(" bridge mac"), len(c.Networks()); got != want {
		t.Errorf("%d bridges, %d networks", got, want)
	}
	if got, want := count(`"" "" link veth`), joined; got != want {
		t.Errorf("%d ports on the host, %d endpoints in sandboxes", got, want)
	}
	if got, want := count(" veth peer eth"), joined; got != want {
		t.Errorf("%d pairs into containers, %d endpoints in sandboxes", got, want)
	}
	if got, want := len(pinned), len(c.Sandboxes()); got != want {
		t.Errorf("%d namespaces, %d sandboxes", got, want)
	}
	if changes := must[string](t)(libnetwork.Unfiltered(c)); changes != "" {
		t.Errorf("the packet filter is not what the records say; it needs\n%s", changes)
	}
	if t.Failed() {
		t.Fatalf("on the machine:\n%s", picture)
	}
	before := picture
	ok(t, c.Repair(t.Context()))
	if after := s.picture(t, keys...); after != before {
		t.Errorf("after the restart there was still something to repair:\n%s\nbecame\n%s", before, after)
	}
}

// beVictim does random operations for ever, and says so after each.
func beVictim(arguments string) error {
	words := strings.Fields(arguments)
	seed, err := strconv.ParseUint(words[4], 10, 64)
	if err != nil {
		return err
	}
	if strings.HasPrefix(words[3], "parents:") {
		return beParentVictim(words[0], words[1], words[2], words[3], seed)
	}
	c, err := libnetwork.New(config.OptionHostNamespace(words[0]), config.OptionDataDir(words[1]),
		config.OptionExecRoot(words[2]), config.OptionFirewallBackend(words[3]), config.OptionAnnounce(0, 0))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 2))
	for i := 0; ; i++ {
		// Somebody else may have one of the ports that were chosen.
		if err := randomOperation(c, random, fmt.Sprintf("r%d-%d", seed, i)); err != nil && !errors.Is(err, cnm.Exists) {
			return fmt.Errorf("operation %d: %w", i, err)
		}
		fmt.Println("done")
	}
}

func pick[T any](random *rand.Rand, from []T) (T, bool) {
	if len(from) == 0 {
		var none T
		return none, false
	}
	return from[random.IntN(len(from))], true
}

// randomPorts are a few, single ones and in a row, that may be in use.
func randomPorts(random *rand.Rand) []types.PortBinding {
	var out []types.PortBinding
	for range random.IntN(4) {
		first := uint16(8000 + random.IntN(2000))
		for port := first; port <= first+uint16(random.IntN(3)); port++ {
			b := tcp(port, port)
			if random.IntN(3) == 0 {
				b = udp(80, port)
			}
			out = append(out, b)
		}
	}
	return out
}

func randomOperation(c libnetwork.NetworkController, random *rand.Rand, name string) error {
	n, haveNetwork := pick(random, c.Networks())
	sb, haveSandbox := pick(random, c.Sandboxes())
	switch choice := random.IntN(12); {
	case choice == 0 && len(c.Networks()) < 8 || !haveNetwork:
		_, err := c.NewNetwork("bridge", name, "", libnetwork.NetworkOptionEnableIPv6(random.IntN(2) == 0))
		return err
	case choice == 1 && len(n.Endpoints()) == 0:
		return n.Delete()
	case choice <= 3 && len(c.Sandboxes()) < 20 || !haveSandbox:
		_, err := c.NewSandbox(name, libnetwork.OptionPortMapping(randomPorts(random)))
		return err
	case choice == 4:
		return sb.Delete()
	case choice <= 7:
		ep, err := n.CreateEndpoint(name)
		if err != nil {
			return err
		}
		return ep.Join(sb)
	case choice <= 9:
		return sb.Refresh(libnetwork.OptionPortMapping(randomPorts(random)))
	}
	ep, have := pick(random, n.Endpoints())
	if !have {
		return nil
	}
	if in := ep.Info().Sandbox(); in != nil && random.IntN(2) == 0 {
		return ep.Leave(in)
	}
	return ep.Delete(true)
}
