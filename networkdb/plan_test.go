package networkdb_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb"
)

// step is one thing that happens to a cluster. The numbers mean what the verb makes of them.
type step struct {
	verb    string
	node    int
	a, b, c int
}

func (s step) String() string { return fmt.Sprintf("%s %d (%d %d %d)", s.verb, s.node, s.a, s.b, s.c) }

// verbs, with how often each comes.
func verbs() []string {
	often := map[string]int{
		"create": 20, "update": 8, "delete": 6, "join": 3, "leave": 1, "sleep": 6,
		"partition": 3, "heal": 1, "lose": 1, "kill": 1, "close": 1, "start": 8, "skew": 1,
	}
	var all []string
	for verb, times := range often {
		all = append(all, slices.Repeat([]string{verb}, times)...)
	}
	slices.Sort(all)
	return all
}

// plan makes up steps; number returns one from 0 to n-1.
func plan(nodes, length int, number func(n int) int) []step {
	all := verbs()
	steps := make([]step, length)
	for i := range steps {
		steps[i] = step{all[number(len(all))], number(nodes), number(3), number(10), number(1000)}
	}
	return steps
}

// history runs a plan, and remembers what must be so in the end.
type history struct {
	*machines
	names    map[int]string
	lives    int
	truth    map[int]map[string]string // by node: its entries, by "network key"
	joined   map[int]map[string]bool
	replicas map[int]*replica
}

func (h *history) network(s step) string { return fmt.Sprintf("net-%d", s.a) }

// key is one of the node's own, or one that nodes contend for.
func (h *history) key(s step) string {
	if s.b == 0 {
		return fmt.Sprintf("common-%d", s.c%2)
	}
	return fmt.Sprintf("%s/%d", h.names[s.node], s.b)
}

func (h *history) begin(number int, name string) {
	h.names[number] = name
	db := h.start(number, name)
	h.truth[number], h.joined[number] = map[string]string{}, map[string]bool{"net-0": true}
	if err := db.JoinNetwork(h.t.Context(), "net-0"); err != nil {
		h.t.Fatal(err)
	}
	h.replicas[number] = watchAll(db, "t")
}

func (h *history) end(number int, how func(int)) {
	r := h.replicas[number]
	how(number)
	r.close()
	for _, m := range []string{r.problems()} {
		if m != "" {
			h.t.Errorf("watcher of %s: %s", h.names[number], m)
		}
	}
	delete(h.truth, number)
	delete(h.joined, number)
	delete(h.replicas, number)
}

// do carries a step out; those that cannot be are left out.
func (h *history) do(s step) error {
	switch s.verb {
	case "sleep":
		unit := 10 * time.Millisecond
		if s.a == 0 { // for so long that nodes that are cut off fail
			unit *= 10
		}
		time.Sleep(time.Duration(s.c) * unit)
		return nil
	case "partition":
		sides := map[int]int{}
		for i := range h.names {
			sides[i] = (s.c >> i) & 1
		}
		h.lan.partition(sides)
		return nil
	case "heal":
		h.lan.partition(nil)
		return nil
	case "lose":
		h.lan.lose(float64(s.c) / 3000)
		return nil
	}
	db := h.dbs[s.node]
	if db == nil {
		if s.verb == "start" {
			name := h.names[s.node]
			if h.lives++; s.a == 0 { // under another name
				name = fmt.Sprintf("node-%d-%d", s.node, h.lives)
			}
			h.begin(s.node, name)
		}
		return nil
	}
	network, id := h.network(s), h.network(s)+" "+h.key(s)
	value := fmt.Sprint(s.c)
	var err error
	switch s.verb {
	case "kill":
		h.end(s.node, h.kill)
	case "close":
		h.end(s.node, func(number int) { db.Close(); delete(h.dbs, number) })
	case "skew":
		db.Skew(uint64(s.c) * 1e6)
	case "join":
		h.joined[s.node][network] = true
		err = db.JoinNetwork(h.t.Context(), network)
	case "leave":
		if h.joined[s.node][network] {
			err = db.LeaveNetwork(network)
			delete(h.joined[s.node], network)
			for k := range h.truth[s.node] {
				if strings.HasPrefix(k, network+" ") {
					delete(h.truth[s.node], k)
				}
			}
		}
	case "create":
		if err = db.CreateEntry("t", network, h.key(s), []byte(value)); err == nil {
			h.truth[s.node][id] = value
		}
		if errors.Is(err, cnm.Exists) || errors.Is(err, cnm.Forbidden) && !h.joined[s.node][network] {
			err = nil
		}
	case "update", "delete":
		_, mine := h.truth[s.node][id]
		if s.verb == "update" {
			err = db.UpdateEntry("t", network, h.key(s), []byte(value))
			h.truth[s.node][id] = value
		} else {
			err = db.DeleteEntry("t", network, h.key(s))
			delete(h.truth[s.node], id)
		}
		if !mine {
			delete(h.truth[s.node], id)
			if err == nil {
				return fmt.Errorf("what was not there was changed")
			}
			err = nil
		}
	}
	return err
}

// wrong says what a node should show and does not, or "".
func (h *history) wrong(number int) string {
	db := h.dbs[number]
	expected := map[string][]string{} // of each entry, what may be shown
	for other, entries := range h.truth {
		for id, value := range entries {
			network, _, _ := strings.Cut(id, " ")
			if h.joined[number][network] {
				expected[id] = append(expected[id], fmt.Sprintf("%s=%s of %s", id, value, h.names[other]))
			}
		}
	}
	text := contents(db, "t")
	shown := 0
	for line := range strings.Lines(text) {
		id, _, _ := strings.Cut(line, "=")
		if !slices.Contains(expected[id], strings.TrimSuffix(line, "\n")) {
			return fmt.Sprintf("%s shows %q, of %q", db.NodeID(), line, expected[id])
		}
		shown++
	}
	if shown != len(expected) {
		return fmt.Sprintf("%s shows %d entries of %d", db.NodeID(), shown, len(expected))
	}
	if told := h.replicas[number].contents(); told != text {
		return fmt.Sprintf("watcher of %s knows %q, the table is %q", db.NodeID(), told, text)
	}
	return ""
}

// settled tells that all nodes show what they should, and the same.
func (h *history) settled() string {
	common := map[string]string{}
	for number := range h.dbs {
		if what := h.wrong(number); what != "" {
			return what
		}
		for line := range strings.Lines(contents(h.dbs[number], "t")) {
			id, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			if other, ok := common[id]; ok && other != value {
				return fmt.Sprintf("%s is %q here and %q there", id, value, other)
			}
			common[id] = value
		}
	}
	return ""
}

// run carries a plan out in virtual time. It returns how long the nodes took to agree when
// it was over and the network whole again, and how many entries a node had then.
func run(t *testing.T, nodes int, steps []step) (entries int, took time.Duration, failure string) {
	const limit = 60 * time.Second
	synctest.Test(t, func(t *testing.T) {
		h := &history{
			machines: &machines{t: t, lan: newLan(2 * time.Millisecond), dbs: map[int]*networkdb.NetworkDB{}},
			names:    map[int]string{}, truth: map[int]map[string]string{}, joined: map[int]map[string]bool{}, replicas: map[int]*replica{},
		}
		h.tolerant = true
		for i := range nodes {
			h.begin(i, fmt.Sprintf("node-%d", i))
		}
		defer func() {
			for number := range h.dbs {
				h.end(number, func(number int) { h.dbs[number].Close(); delete(h.dbs, number) })
			}
			h.close()
		}()
		for i, s := range steps {
			if err := h.do(s); err != nil {
				failure = fmt.Sprintf("step %d, %s: %v", i, s, err)
				return
			}
		}
		h.lan.partition(nil)
		h.lan.lose(0)
		for i := range nodes {
			if h.dbs[i] == nil {
				h.begin(i, h.names[i])
			}
		}
		begin := time.Now()
		for failure = h.settled(); failure != ""; failure = h.settled() {
			if time.Since(begin) > limit {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		took = time.Since(begin)
		time.Sleep(5 * time.Second) // and it stays so
		failure = h.settled()
		for _, db := range h.dbs {
			entries = max(entries, db.Count("t"))
		}
	})
	return entries, took, failure
}

var (
	longPlans = flag.Int("plans", 2, "how many long random histories to run")
	firstPlan = flag.Uint64("first-plan", 1, "the seed of the first one")
)

// TestAnyHistoryConverges lets anything happen, and expects that the nodes agree.
func TestAnyHistoryConverges(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		nodes := rapid.IntRange(2, 4).Draw(r, "nodes")
		length := rapid.IntRange(1, 25).Draw(r, "length")
		steps := plan(nodes, length, func(n int) int { return rapid.IntRange(0, n-1).Draw(r, "number") })
		if _, _, failure := run(t, nodes, steps); failure != "" {
			r.Fatalf("%s\nafter %q", failure, steps)
		}
	})
}

func TestLongHistoriesConverge(t *testing.T) {
	for i := range *longPlans {
		seed := *firstPlan + uint64(i) //nolint:gosec // a small number
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // to be repeated
			nodes := 3 + random.IntN(10)
			steps := plan(nodes, 300, random.IntN)
			entries, took, failure := run(t, nodes, steps)
			if failure != "" {
				t.Fatal(failure)
			}
			t.Logf("%d nodes agreed on %d entries after %s", nodes, entries, took)
		})
	}
}
