package libnetwork_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
)

// victim, in the environment, makes this binary a process that does random
// operations until it is killed. Its value is "host data run seed".
const victim = "LIBNETWORK_VICTIM"

const (
	killRounds     = 20
	killOperations = 500
)

// A process is killed in the middle of random operations, again and again. After
// each restart the machine holds what the records say and nothing else.
func TestKilledInTheMiddle(t *testing.T) {
	s := newScratch(t)
	done := 0
	for round := range killRounds {
		random := rand.New(rand.NewPCG(uint64(round), 1))
		done += s.runVictim(t, round, 1+random.IntN(killOperations))
		c := s.open(t)
		s.wantRecordsOnly(t, c)
		if round%5 == 4 { // otherwise the next one goes on from here
			empty(t, c)
			s.wantEmpty(t)
		}
		c.Stop()
	}
	t.Logf("%d operations, %d kills", done, killRounds)
	c := s.open(t)
	empty(t, c)
	s.wantEmpty(t)
}

// runVictim lets a process do that many operations and kills it in the middle of the
// next.
func (s scratch) runVictim(t *testing.T, seed, operations int) int {
	t.Helper()
	command := exec.Command("/proc/self/exe")
	command.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s %s %d", victim, s.host, s.data, s.run, seed))
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
	seed, err := strconv.ParseUint(words[3], 10, 64)
	if err != nil {
		return err
	}
	c, err := libnetwork.New(config.OptionHostNamespace(words[0]), config.OptionDataDir(words[1]),
		config.OptionExecRoot(words[2]), config.OptionAnnounce(0, 0))
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, 2))
	for i := 0; ; i++ {
		if err := randomOperation(c, random, fmt.Sprintf("r%d-%d", seed, i)); err != nil {
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

func randomOperation(c libnetwork.NetworkController, random *rand.Rand, name string) error {
	n, haveNetwork := pick(random, c.Networks())
	sb, haveSandbox := pick(random, c.Sandboxes())
	switch choice := random.IntN(10); {
	case choice == 0 && len(c.Networks()) < 8 || !haveNetwork:
		_, err := c.NewNetwork("bridge", name, "", libnetwork.NetworkOptionEnableIPv6(random.IntN(2) == 0))
		return err
	case choice == 1 && len(n.Endpoints()) == 0:
		return n.Delete()
	case choice <= 3 && len(c.Sandboxes()) < 20 || !haveSandbox:
		_, err := c.NewSandbox(name)
		return err
	case choice == 4:
		return sb.Delete()
	case choice <= 7:
		ep, err := n.CreateEndpoint(name)
		if err != nil {
			return err
		}
		return ep.Join(sb)
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
