package networkdb

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/networkdb/diagnostic"
)

// hosts are machines at a switch.
type hosts struct {
	t    testing.TB
	list []*machine
}

// machine is a host, with a node if it runs.
type machine struct {
	t         testing.TB
	name      string
	namespace string
	address   string
	client    *http.Client
	keys      []string

	process *exec.Cmd
	input   io.WriteCloser
	output  *bufio.Reader
	log     *kerneltest.Log

	mu    sync.Mutex
	truth map[string]string // entries that its node made
}

// newHosts makes hosts with addresses 192.0.2.1 and on (RFC 5737), at one switch.
func newHosts(t testing.TB, count int, keys ...string) *hosts {
	t.Helper()
	kerneltest.RequireRoot(t)
	h := &hosts{t: t}
	fabric, err := kernel.Open(kernel.Options{HostNamespace: kerneltest.NewNamespace(t), Instance: "switch"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := fabric.Close(); err != nil {
			t.Error(err)
		}
	})
	parts := []netstate.Part{{Owner: "test/switch", Links: []netstate.Link{{Name: "switch", Kind: netstate.Bridge}}}}
	for i := range count {
		m := &machine{
			t: t, name: fmt.Sprintf("host-%d", i+1), namespace: kerneltest.NewNamespace(t), address: fmt.Sprintf("192.0.2.%d", i+1),
			keys: keys, truth: map[string]string{},
		}
		m.client = &http.Client{Transport: &http.Transport{DialContext: m.dial}, Timeout: 40 * time.Second}
		t.Cleanup(m.client.CloseIdleConnections)
		near := netstate.Part{Owner: "test/cable", Links: []netstate.Link{{
			Name: fmt.Sprintf("port%d", i+1), Kind: netstate.Veth, Master: "switch", Peer: netstate.Peer{Namespace: m.namespace, Name: "eth0"},
		}}}
		far := netstate.Part{
			Owner: "test/cable", Namespace: m.namespace, Links: []netstate.Link{{Name: "eth0", Kind: netstate.Veth}},
			Addrs: []netstate.Addr{{Link: "eth0", Prefix: netip.MustParsePrefix(m.address + "/24")}},
		}
		parts = append(parts, near, far)
		h.list = append(h.list, m)
	}
	if err := fabric.Apply(t.Context(), netstate.Diff(nil, parts)); err != nil {
		t.Fatal(err)
	}
	return h
}

// dial connects from the machine's namespace.
func (m *machine) dial(ctx context.Context, network, address string) (conn net.Conn, err error) {
	err = kerneltest.Do(m.namespace, func() error {
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// start starts a node; it ends with its input, if it is not ended before.
func (m *machine) start() {
	m.t.Helper()
	text, err := json.Marshal(settings{Name: m.name, Address: m.address, Keys: m.keys})
	if err != nil {
		m.t.Fatal(err)
	}
	m.process, m.log = exec.Command("/proc/self/exe"), &kerneltest.Log{}
	m.process.Env = append(os.Environ(), nodeSettings+"="+string(text))
	m.process.Stderr = m.log
	output, err := m.process.StdoutPipe()
	if err != nil {
		m.t.Fatal(err)
	}
	if m.input, err = m.process.StdinPipe(); err != nil {
		m.t.Fatal(err)
	}
	m.output = bufio.NewReader(output)
	if err := kerneltest.Do(m.namespace, m.process.Start); err != nil {
		m.t.Fatal(err)
	}
	process := m.process
	m.t.Cleanup(func() {
		if m.process == process {
			m.kill()
		}
		if m.t.Failed() {
			m.t.Logf("%s wrote:\n%s", m.name, tail(m.log.String(), 40))
		}
	})
	if line, err := m.output.ReadString('\n'); line != "ready\n" {
		m.t.Fatalf("%s: %q, %v: %s", m.name, line, err, m.log)
	}
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// kill ends the node as kill -9 does.
func (m *machine) kill() {
	if m.process == nil {
		return
	}
	_ = m.process.Process.Kill()
	_ = m.process.Wait()
	m.process = nil
	m.client.CloseIdleConnections()
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.truth)
}

// key has the node do something with a key.
func (m *machine) key(verb, key string) {
	m.t.Helper()
	if _, err := fmt.Fprintln(m.input, verb, key); err != nil {
		m.t.Fatal(err)
	}
	if line, err := m.output.ReadString('\n'); line != "ok\n" {
		m.t.Fatalf("%s: %s key: %q, %v", m.name, verb, line, err)
	}
}

// ask sends a diagnosing request.
func (m *machine) ask(method, path string, query url.Values, answer any) error {
	request, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d/%s?%s", port, path, query.Encode()), nil)
	if err != nil {
		return err
	}
	response, err := m.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it has been read
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", m.name, path, body)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(body, answer)
	}
	return err
}

func (m *machine) must(path string, query url.Values) {
	m.t.Helper()
	if err := m.ask(http.MethodPost, path, query, nil); err != nil {
		m.t.Fatal(err)
	}
}

// set creates or updates an entry of the machine's.
func (m *machine) set(key, value string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := "createentry"
	if _, ok := m.truth[key]; ok {
		path = "updateentry"
	}
	err := m.ask(http.MethodPost, path, url.Values{"nid": {"net"}, "tname": {"t"}, "key": {key}, "value": {value}}, nil)
	if err == nil {
		m.truth[key] = value
	}
	return err
}

func (m *machine) delete(key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.ask(http.MethodPost, "deleteentry", url.Values{"nid": {"net"}, "tname": {"t"}, "key": {key}}, nil)
	if err == nil {
		delete(m.truth, key)
	}
	return err
}

// shows returns what the machine's node has, by key.
func (m *machine) shows() (map[string]string, error) {
	var entries []diagnostic.Entry
	if err := m.ask(http.MethodGet, "gettable", url.Values{"nid": {"net"}, "tname": {"t"}}, &entries); err != nil {
		return nil, err
	}
	shown := map[string]string{}
	for _, e := range entries {
		shown[e.Key] = e.Text
	}
	return shown, nil
}

// start starts nodes on all hosts, in one cluster and network.
func (h *hosts) start() {
	h.t.Helper()
	for _, m := range h.list {
		m.start()
		m.enter()
	}
}

// enter makes the machine's node part of the cluster and the network.
func (m *machine) enter() {
	m.t.Helper()
	if m.address != "192.0.2.1" {
		m.must("join", url.Values{"members": {"192.0.2.1,192.0.2.2"}})
	}
	m.must("joinnetwork", url.Values{"nid": {"net"}})
}

// agree waits until every node that runs shows what all made, and returns how long it took.
func (h *hosts) agree(limit time.Duration) time.Duration {
	h.t.Helper()
	begin := time.Now()
	for {
		what := h.difference()
		took := time.Since(begin)
		if what == "" {
			return took
		}
		if took > limit {
			h.t.Fatalf("after %s: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (h *hosts) difference() string {
	want := map[string]string{}
	for _, m := range h.list {
		m.mu.Lock()
		for k, v := range m.truth {
			want[k] = v
		}
		m.mu.Unlock()
	}
	for _, m := range h.list {
		if m.process == nil {
			continue
		}
		got, err := m.shows()
		if err != nil {
			return err.Error()
		}
		for k, v := range want {
			if got[k] != v {
				return fmt.Sprintf("%s shows %q as %q, not %q", m.name, k, got[k], v)
			}
		}
		if len(got) != len(want) {
			return fmt.Sprintf("%s shows %d entries, not %d", m.name, len(got), len(want))
		}
	}
	return ""
}

// cut makes the hosts of two sides drop what comes from the other one.
func (h *hosts) cut(one, other []*machine) {
	h.t.Helper()
	for _, side := range [][2][]*machine{{one, other}, {other, one}} {
		var addresses []string
		for _, m := range side[1] {
			addresses = append(addresses, m.address)
		}
		for _, m := range side[0] {
			m.nft(fmt.Sprintf("table inet cut { chain input { type filter hook input priority 0; ip saddr { %s } drop; }; }", strings.Join(addresses, ", ")))
		}
	}
}

func (h *hosts) heal() {
	h.t.Helper()
	for _, m := range h.list {
		m.nft("delete table inet cut")
	}
}

func (m *machine) nft(script string) {
	m.t.Helper()
	command := exec.Command("nft", "-f", "-")
	command.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	command.Stdin = strings.NewReader(script)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	if err := kerneltest.Do(m.namespace, command.Run); err != nil {
		m.t.Fatalf("%s: nft %s: %v: %s", m.name, script, err, out.String())
	}
}
