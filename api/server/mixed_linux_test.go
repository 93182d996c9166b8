package server_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// mixedOperation returns a request of any kind. The names are so few that most requests
// meet what another client has made, or is about to. No name can be taken for the beginning
// of an id, which has digits from 0 to f: a request that is ambiguous would be a 400.
func mixedOperation(random *rand.Rand) (method, path, body string) {
	network, container := "n"+strconv.Itoa(random.IntN(6)), "m"+strconv.Itoa(random.IntN(40))
	named, endpoint := fmt.Sprintf(`{"container":%q}`, container), "p"+strconv.Itoa(random.IntN(20))
	operations := [][3]string{
		{"POST", "/networks", fmt.Sprintf(`{"name":%q}`, network)},
		{"POST", "/networks", fmt.Sprintf(`{"name":%q}`, network)},
		{"DELETE", "/networks/" + network, ""},
		{"POST", "/sandboxes", fmt.Sprintf(`{"container_id":%q}`, container)},
		{"POST", "/sandboxes", fmt.Sprintf(`{"container_id":%q}`, container)},
		{"DELETE", "/sandboxes/" + container, ""},
		{"POST", "/networks/" + network + "/connect", named},
		{"POST", "/networks/" + network + "/connect", named},
		{"POST", "/networks/" + network + "/disconnect", named},
		{"POST", "/networks/" + network + "/endpoints", fmt.Sprintf(`{"name":%q}`, endpoint)},
		{"POST", "/networks/" + network + "/endpoints/" + endpoint + "/sandboxes", fmt.Sprintf(`{"sandbox_id":%q}`, container)},
		{"DELETE", "/networks/" + network + "/endpoints/" + endpoint + "/sandboxes/" + container, ""},
		{"DELETE", "/networks/" + network + "/endpoints/" + endpoint + "?force=true", ""},
		{"GET", "/networks", ""},
		{"GET", "/networks/" + network, ""},
		{"GET", "/endpoints?network=" + network, ""},
		{"GET", "/sandboxes/" + container, ""},
		{"GET", "/sandboxes/" + container + "/statistics", ""},
		{"GET", "/statistics", ""},
		{"GET", "/debug/state", ""},
	}
	operation := operations[random.IntN(len(operations))]
	return operation[0], operation[1], operation[2]
}

// remains are the host's links, the files of namespaces, and the goroutines.
type remains struct {
	links, namespaces []string
	goroutines        int
}

func lookAtRemains(t *testing.T, host, namespaces string) remains {
	t.Helper()
	var out remains
	err := kerneltest.Do(host, func() error {
		links, err := net.Interfaces()
		for _, link := range links {
			out.links = append(out.links, link.Name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(namespaces)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		out.namespaces = append(out.namespaces, file.Name())
	}
	slices.Sort(out.links)
	out.goroutines = runtime.NumGoroutine()
	return out
}

// warm makes one of everything and deletes it, so that what is made once and kept is there.
func warm(t *testing.T, d *daemon) (namespaces string) {
	t.Helper()
	startFuzzed(t, d)
	if answer := d.ask("POST", "/networks/usual/connect", `{"container":"c"}`); answer.Code != http.StatusCreated {
		t.Fatal(answer.Body)
	}
	namespaces = filepath.Dir(d.controller.Sandboxes()[0].Key())
	endFuzzed(t, d)
	return namespaces
}

// fits reports whether a status is a success, a conflict with another client, or an
// exhausted pool. No request is malformed, so that 400 is none of them; and what asks for
// everything meets no conflict.
func fits(path string, code int) bool {
	if slices.Contains([]string{"/statistics", "/debug/state"}, path) || strings.Contains(path, "?network=") {
		return code == http.StatusOK
	}
	return code >= 200 && code < 300 ||
		slices.Contains([]int{http.StatusForbidden, http.StatusNotFound, http.StatusServiceUnavailable}, code)
}

// sendMixed has 200 clients send operations, and returns how long each took.
func sendMixed(t *testing.T, client *http.Client, operations int) (took []time.Duration, answers map[int]int) {
	t.Helper()
	const clients = 200
	answers = make(map[int]int)
	var mu sync.Mutex
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(i)))
			for range operations / clients {
				method, path, body := mixedOperation(random)
				start := time.Now()
				code, text, err := request(client, method, path, body)
				elapsed := time.Since(start)
				mu.Lock()
				took = append(took, elapsed)
				answers[code]++
				mu.Unlock()
				if err != nil || !fits(path, code) {
					t.Errorf("%s %s %s: %d %s %v", method, path, body, code, text, err)
				}
				if code == http.StatusServiceUnavailable && !strings.Contains(text, "exhausted") {
					t.Errorf("%s %s %s: %s", method, path, body, text)
				}
			}
		})
	}
	group.Wait()
	slices.Sort(took)
	return took, answers
}

// TestMixedClients: as TestManyClients, with each kind of operation and with names that are
// fewer; and links, namespaces and goroutines are counted, before and after. LOAD is the
// number of operations, 1,000 if it is not set.
func TestMixedClients(t *testing.T) {
	operations := 1000
	if text := os.Getenv("LOAD"); text != "" {
		number, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("LOAD: %v", err)
		}
		operations = number
	}
	d := newDaemon(t)
	client := d.serve(t)
	namespaces := warm(t, d)
	before := lookAtRemains(t, d.host, namespaces)
	took, answers := sendMixed(t, client, operations)
	t.Logf("%d operations: p50 %s, p95 %s, most %s; answers by status: %v", len(took),
		took[len(took)/2], took[len(took)*95/100], took[len(took)-1], answers)
	if made := answers[http.StatusCreated]; made < operations/50 {
		t.Errorf("%d objects were made, of %d operations: this is no load", made, operations)
	}
	inspector := d.controller.(libnetwork.Inspector)
	if found, err := inspector.Mend(t.Context(), libnetwork.MendOptions{DryRun: true}); err != nil || len(found) > 0 {
		t.Errorf("differs from the records: %v %v", found, err)
	}
	endFuzzed(t, d)
	left := inspector.Records()
	if len(left.Networks)+len(left.Endpoints)+len(left.Sandboxes) > 0 {
		t.Errorf("left: %d networks, %d endpoints, %d sandboxes", len(left.Networks), len(left.Endpoints), len(left.Sandboxes))
	}
	client.CloseIdleConnections()
	var after remains
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		after = lookAtRemains(t, d.host, namespaces)
		if after.goroutines <= before.goroutines || time.Now().After(end) {
			break
		}
	}
	t.Logf("goroutines: %d before, %d after; links: %v", before.goroutines, after.goroutines, after.links)
	if after.goroutines > before.goroutines {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, and %d before:\n%s", after.goroutines, before.goroutines, stacks[:runtime.Stack(stacks, true)])
	}
	if !slices.Equal(after.links, before.links) || !slices.Equal(after.namespaces, before.namespaces) {
		t.Errorf("links %q and namespaces %q, before %q and %q", after.links, after.namespaces, before.links, before.namespaces)
	}
}
