package networkdb

import (
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/networkdb"
)

var cutFor = flag.Duration("cut", 12*time.Second, "how long hosts are cut off from each other")

// oldKey and newKey are keys for AES-128, in hexadecimal.
var oldKey, newKey = strings.Repeat("a1", 16), strings.Repeat("b2", 16)

// afterHealing is how long nodes may take to agree once everything works again.
const afterHealing = 5 * time.Second

func TestKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 5)
	h.start()
	for _, m := range h.list {
		for k := range 20 {
			if err := m.set(fmt.Sprintf("%s/%d", m.name, k), "first"); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("100 entries are everywhere after %s", h.agree(afterHealing))

	victim := h.list[4]
	victim.kill() // its entries are gone when that is noticed
	t.Logf("a killed node's entries are hidden after %s", h.agree(30*time.Second))
	victim.start()
	victim.enter()
	if err := victim.set(victim.name+"/new", "second life"); err != nil {
		t.Fatal(err)
	}
	t.Logf("it has come back with another one after %s", h.agree(afterHealing))

	victim.kill()
	victim.name = "another-name" // a new node at the old one's address
	victim.start()
	victim.enter()
	if err := victim.set("third", "life"); err != nil {
		t.Fatal(err)
	}
	t.Logf("it has come back under another name after %s", h.agree(afterHealing))
}

func TestCutOffFromEachOther(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 5)
	h.start()
	for _, m := range h.list {
		for k := range 10 {
			if err := m.set(fmt.Sprintf("%s/%d", m.name, k), "before"); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.agree(afterHealing)
	h.cut(h.list[:2], h.list[2:])
	for end, i := time.Now().Add(*cutFor), 0; time.Now().Before(end); i++ {
		for _, m := range h.list {
			for _, err := range []error{
				m.set(fmt.Sprintf("%s/%d", m.name, i%5), fmt.Sprintf("change %d", i)),
				m.set(fmt.Sprintf("%s/new/%d", m.name, i%40), "during"),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, m := range h.list {
		if err := m.delete(m.name + "/9"); err != nil {
			t.Fatal(err)
		}
	}
	var status networkdb.Status
	if err := h.list[0].ask(http.MethodGet, "status", nil, &status); err != nil {
		t.Fatal(err)
	}
	lost := 0
	for _, n := range status.Nodes {
		if n.Standing == "failed" {
			lost++
		}
	}
	h.heal()
	t.Logf("cut for %s, after which host-1 had lost %d nodes; healed after %s", *cutFor, lost, h.agree(afterHealing))
}

func TestOtherKeysUnderTraffic(t *testing.T) {
	t.Parallel()
	h := newHosts(t, 5, oldKey)
	h.start()
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for _, m := range h.list {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
				if err := m.set(fmt.Sprintf("%s/%d", m.name, i%50), fmt.Sprint(i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for _, change := range [][2]string{{"set", newKey}, {"primary", newKey}, {"remove", oldKey}} {
		time.Sleep(500 * time.Millisecond)
		for _, m := range h.list {
			m.key(change[0], change[1])
		}
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	writers.Wait()
	if t.Failed() {
		return
	}
	t.Logf("with another key, all agree after %s", h.agree(afterHealing))

	// Who has the old key only gets nothing, and is not let in.
	late := h.list[4]
	late.kill()
	late.keys = []string{oldKey}
	late.start()
	if err := late.ask(http.MethodPost, "join", url.Values{"members": {"192.0.2.1"}}, nil); err == nil {
		t.Error("a node with the old key joined")
	}
	late.must("joinnetwork", url.Values{"nid": {"net"}})
	if err := late.ask(http.MethodPost, "createentry", url.Values{"nid": {"net"}, "tname": {"t"}, "key": {"forged"}, "value": {"v"}}, nil); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if got, err := late.shows(); err != nil || len(got) != 1 {
			t.Fatalf("with the old key, a node shows %v, %v", got, err)
		}
		if got, err := h.list[0].shows(); err != nil || got["forged"] != "" {
			t.Fatalf("an entry of a node with the old key is shown: %v, %v", got, err)
		}
	}
}
