package sharedipam_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/etcd"
	"github.com/docker/libnetwork/ipams/shared"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/test/storeserver"
)

// claimer, in the environment, makes this binary a host that claims addresses: its value
// is the store's address, the node's name, the pool's id and how many.
const claimer = "LIBNETWORK_TEST_CLAIMER"

func TestMain(m *testing.M) {
	if what := os.Getenv(claimer); what != "" {
		if err := claim(strings.Fields(what)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	kerneltest.Main(m)
}

// claim claims addresses, four at a time, and prints them.
func claim(what []string) error {
	count, err := strconv.Atoi(what[3])
	if err != nil {
		return err
	}
	store, err := etcd.Open(what[0], etcd.Options{})
	if err != nil {
		return err
	}
	m, err := shared.New(store, replica, shared.Options{Node: what[1]})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	var mu sync.Mutex // guards what follows
	var failure error
	for worker := range 4 {
		group.Go(func() {
			for i := worker; i < count; i += 4 {
				a, err := m.RequestAddress(context.Background(), cnm.AddressRequest{PoolID: what[2]})
				mu.Lock()
				if err != nil {
					failure = err
				} else {
					fmt.Println(a.Prefix.Addr())
				}
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if failure != nil {
		return failure
	}
	return store.Close()
}

// TestClaimsOfManyProcesses has 2,000 addresses claimed; CLAIMS=5000 claims that many.
func TestClaimsOfManyProcesses(t *testing.T) {
	const processes = 8
	count := 2000
	if text := os.Getenv("CLAIMS"); text != "" {
		var err error
		if count, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	server := storeserver.Etcd(t, nil)
	store, err := etcd.Open(server.Address, etcd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the server is the test's
	pool := requestPool(t, newIPAM(t, store, "test"), "10.1.0.0/16", "")
	start := time.Now()
	outputs := make([]bytes.Buffer, processes)
	commands := make([]*exec.Cmd, processes)
	for i := range commands {
		commands[i] = exec.Command("/proc/self/exe")
		commands[i].Env = append(os.Environ(), fmt.Sprintf("%s=%s node%d %s %d", claimer, server.Address, i, pool.ID, count/processes))
		commands[i].Stdout, commands[i].Stderr = &outputs[i], os.Stderr
		commands[i].SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := commands[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range commands {
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	}
	took := time.Since(start)
	claimed := make(map[netip.Addr]int)
	total := 0
	for i := range outputs {
		for lines := bufio.NewScanner(&outputs[i]); lines.Scan(); {
			a := netip.MustParseAddr(lines.Text())
			if other, twice := claimed[a]; twice {
				t.Errorf("address %s was claimed by process %d and by %d", a, other, i)
			}
			claimed[a] = i
			total++
		}
	}
	if total != processes*(count/processes) {
		t.Errorf("%d addresses were claimed, want %d", total, count)
	}
	for _, key := range content(t, store) {
		if at := strings.LastIndex(key, "/"); strings.HasPrefix(key, "ipam/addresses/") {
			a := netip.MustParseAddr(key[at+1:])
			if _, ok := claimed[a]; !ok {
				t.Errorf("address %s is in the store, and nobody has it", a)
			}
			delete(claimed, a)
		}
	}
	if len(claimed) != 0 {
		t.Errorf("%d addresses are not in the store: %v", len(claimed), claimed)
	}
	t.Logf("%d addresses by %d processes in %s, %.0f a second", total, processes, took.Round(time.Millisecond), float64(total)/took.Seconds())
}

// Claims whose answers are lost are neither lost nor made twice.
func TestClaimsOverTroubledConnections(t *testing.T) {
	server := storeserver.Etcd(t, nil)
	proxy := storeserver.NewProxy(t, server.Address)
	store, err := etcd.Open(proxy.Address, etcd.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close() //nolint:errcheck // the server is the test's
	m := newIPAM(t, store, "one")
	pool := requestPool(t, m, "10.1.0.0/16", "")
	done := make(chan struct{})
	var disturbing, claiming sync.WaitGroup
	disturbing.Go(func() { proxy.Trouble(done) })
	var mu sync.Mutex // guards what follows
	claimed := make(map[netip.Addr]bool)
	for range 4 {
		claiming.Go(func() {
			for range 50 {
				a, err := m.RequestAddress(context.Background(), cnm.AddressRequest{PoolID: pool.ID})
				mu.Lock()
				switch {
				case err != nil:
					t.Error(err)
				case claimed[a.Prefix.Addr()]:
					t.Errorf("address %s was claimed twice", a.Prefix.Addr())
				}
				claimed[a.Prefix.Addr()] = true
				mu.Unlock()
			}
		})
	}
	claiming.Wait()
	close(done)
	disturbing.Wait()
	for _, key := range content(t, store) {
		if at := strings.LastIndex(key, "/"); strings.HasPrefix(key, "ipam/addresses/") && !claimed[netip.MustParseAddr(key[at+1:])] {
			t.Errorf("address %s is in the store, and nobody has it", key[at+1:])
		}
	}
}
