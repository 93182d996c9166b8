package cni

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/docker/libnetwork/cni"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
)

// asPlugin, in the environment, has the test binary be the plugin: for a kernel that has
// this one program only.
const asPlugin = "LIBNETWORK_TEST_CNI"

func TestMain(m *testing.M) {
	if os.Getenv(asPlugin) != "" {
		os.Exit(cni.Run(context.Background(), cni.Process{Environment: os.Getenv, Input: os.Stdin, Output: os.Stdout}))
	}
	kerneltest.Main(m)
}

// build builds a program of the tree, once, as it is released, and returns its path. What
// it starts itself is built beside it.
func build(name string, more ...string) func() (string, error) {
	return sync.OnceValues(func() (string, error) {
		folder, err := os.MkdirTemp("/run", "build") // which ends with the tests
		if err != nil {
			return "", err
		}
		for _, one := range append(more, name) {
			arguments := []string{"build", "-tags", "localstores", "-o", filepath.Join(folder, one), "../../cmd/" + one}
			command := exec.Command("go", arguments...)
			command.Env = append(os.Environ(), "CGO_ENABLED=0")
			if out, err := command.CombinedOutput(); err != nil {
				return "", fmt.Errorf("%w: %s", err, out)
			}
		}
		return filepath.Join(folder, name), nil
	})
}

var buildPlugin, buildDaemon = build("dnet-cni"), build("dnet", "dnetd")

func program(t testing.TB, build func() (string, error)) string {
	t.Helper()
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// object is a JSON object.
type object = map[string]any

// machine is a host with a plugin's records.
type machine struct {
	t      testing.TB
	host   string
	folder string
	// configuration is what every call begins with.
	configuration object
	containers    int
}

// newMachine returns a host of its own. When the test ends, GC without valid attachments
// must leave it as it was.
func newMachine(t testing.TB) *machine {
	t.Helper()
	kerneltest.RequireRoot(t)
	m := &machine{t: t, host: kerneltest.NewNamespace(t), folder: t.TempDir()}
	m.configuration = object{
		"cniVersion": "1.1.0", "name": "blue", "type": "dnet-cni", "subnet": "10.20.0.0/16",
		"dataDir": filepath.Join(m.folder, "data"), "execRoot": filepath.Join(m.folder, "run"),
	}
	t.Cleanup(func() {
		m.must(m.call("GC", key{}, nil))
		m.clean()
	})
	return m
}

// clean says what is left on the host: links and rules.
func (m *machine) clean() {
	m.t.Helper()
	if links := strings.TrimSpace(m.exec("ip", "-o", "link")); strings.Count(links, "\n") > 0 {
		m.t.Errorf("links are left:\n%s", links)
	}
	if rules := m.exec("nft", "list", "ruleset"); strings.Contains(rules, "libnetwork") {
		m.t.Errorf("rules are left:\n%s", rules)
	}
}

// key is an attachment.
type key struct{ container, ifname, netns string }

// container makes one, with a namespace, and returns its first attachment.
func (m *machine) container() key {
	m.t.Helper()
	m.containers++
	k := key{fmt.Sprintf("c%d", m.containers), "eth0", ""}
	k.netns = filepath.Join(m.folder, k.container)
	m.makeNamespace(k.netns)
	return k
}

func (m *machine) makeNamespace(path string) {
	m.t.Helper()
	if err := netns.Create(path, func() error { return nil }); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() { _ = netns.Delete(path) }) // the test may have done so
}

// answer is what a call ended with.
type answer struct {
	status int
	text   string
	took   object
}

// code is that of an error, and 0 of none.
func (a answer) code() int {
	code, _ := a.took["code"].(float64)
	return int(code)
}

func (a answer) message() string {
	message, _ := a.took["msg"].(string)
	details, _ := a.took["details"].(string)
	return message + "; " + details
}

// prepare returns the process of a call.
func (m *machine) prepare(command string, k key, more object, variables ...string) *exec.Cmd {
	m.t.Helper()
	all := maps.Clone(m.configuration)
	maps.Copy(all, more)
	text, err := json.Marshal(all)
	if err != nil {
		m.t.Fatal(err)
	}
	path := "/proc/self/exe"
	if _, err := exec.LookPath("go"); err == nil {
		path = program(m.t, buildPlugin)
	}
	c := exec.Command(path)
	c.Stdin = bytes.NewReader(text)
	c.Env = append([]string{
		asPlugin + "=1",
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + k.container, "CNI_IFNAME=" + k.ifname, "CNI_NETNS=" + k.netns, "CNI_PATH=/none",
	}, variables...)
	return c
}

// call runs the plugin on the host.
func (m *machine) call(command string, k key, more object, variables ...string) answer {
	m.t.Helper()
	return m.run(m.prepare(command, k, more, variables...))
}

func (m *machine) run(c *exec.Cmd) answer {
	var out, log bytes.Buffer
	c.Stdout, c.Stderr = &out, &log
	err := kerneltest.Do(m.host, c.Run)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Errorf("plugin: %v", err)
	}
	a := answer{status: c.ProcessState.ExitCode(), text: out.String() + log.String()}
	if out.Len() > 0 {
		if err := json.Unmarshal(out.Bytes(), &a.took); err != nil {
			m.t.Errorf("the plugin wrote %q, which is not JSON: %v", out.String(), err)
		}
	}
	return a
}

// must is for calls that succeed.
func (m *machine) must(a answer) answer {
	m.t.Helper()
	if a.status != 0 {
		m.t.Fatalf("status %d: %s", a.status, a.text)
	}
	return a
}

// refused is for calls that fail with a code and a message.
func (m *machine) refused(a answer, code int, says string) {
	m.t.Helper()
	if a.status != 1 || a.code() != code || !strings.Contains(a.message(), says) || a.took["cniVersion"] == "" {
		m.t.Errorf("status %d, want an error with code %d that says %q:\n%s", a.status, code, says, a.text)
	}
}

// exec runs a program on the host.
func (m *machine) exec(arguments ...string) string {
	m.t.Helper()
	return run(m.t, m.host, arguments...)
}

func run(t testing.TB, namespace string, arguments ...string) string {
	t.Helper()
	var out []byte
	err := kerneltest.Do(namespace, func() (err error) {
		out, err = exec.Command(arguments[0], arguments[1:]...).CombinedOutput()
		return err
	})
	if err != nil {
		t.Fatalf("%q: %v: %s", arguments, err, out)
	}
	return string(out)
}

// address returns the address of a result, without its length.
func (a answer) address(t testing.TB, i int) string {
	t.Helper()
	ips, _ := a.took["ips"].([]any)
	if len(ips) <= i {
		t.Fatalf("there is no address %d:\n%s", i, a.text)
	}
	address, _, _ := strings.Cut(ips[i].(object)["address"].(string), "/")
	return address
}

// published is a configuration that publishes a port.
func published(host int) object {
	return object{"runtimeConfig": object{"portMappings": []object{{"hostPort": host, "containerPort": 80, "protocol": "tcp"}}}}
}

// with adds members to a configuration.
func with(one object, more object) object {
	out := maps.Clone(one)
	if out == nil {
		out = object{}
	}
	maps.Copy(out, more)
	return out
}
