package storeserver

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// ConsulVariable names the variable of the environment that holds the path of a program of Consul, or "1" to build
// it from the module in test/consul. Without it, tests with Consul do not run: Debian has
// no package of it, and to build it takes minutes.
const ConsulVariable = "LIBNETWORK_CONSUL"

// Consul starts a server of Consul that is alone, or skips the test.
func Consul(t testing.TB) *Server {
	t.Helper()
	binary := os.Getenv(ConsulVariable)
	switch binary {
	case "":
		t.Skipf("Consul is no package of Debian: set %s=1 to build it, which takes minutes, or to its path", ConsulVariable)
	case "1":
		binary = buildConsul(t)
	}
	ports := freePorts(t, 6)
	s := &Server{t: t, Address: loopback(ports[0]), program: binary, folder: folder(t)}
	s.args = []string{"agent", "-server", "-bootstrap-expect=1", "-bind=127.0.0.1", "-client=127.0.0.1", "-node=test",
		"-data-dir=" + filepath.Join(s.folder, "data"), "-log-level=warn", "-disable-host-node-id",
		"-http-port=" + strconv.Itoa(ports[0]), "-server-port=" + strconv.Itoa(ports[1]), "-serf-lan-port=" + strconv.Itoa(ports[2]),
		"-serf-wan-port=" + strconv.Itoa(ports[3]), "-dns-port=" + strconv.Itoa(ports[4]), "-grpc-port=-1", "-grpc-tls-port=-1",
		"-hcl=performance { raft_multiplier = 1 } connect { enabled = false } disable_update_check = true"}
	s.ready = func() error { return leads("http://" + s.Address + "/v1/status/leader") }
	s.begin()
	t.Cleanup(s.Kill)
	s.wait()
	return s
}

// buildConsul builds the server into the user's cache, once.
func buildConsul(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	binary := filepath.Join(cache, "libnetwork-test", "consul")
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatalf("where the module is: %v", err)
	}
	build := exec.Command("go", "build", "-o", binary, "github.com/hashicorp/consul")
	build.Dir = filepath.Join(string(root[:len(root)-1]), "test", "consul")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build consul: %v\n%s", err, output)
	}
	return binary
}

// leads reports whether a server of Consul has a leader.
func leads(url string) error {
	response, err := http.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // was read
	body, err := io.ReadAll(io.LimitReader(response.Body, 1000))
	if err == nil && (response.StatusCode != http.StatusOK || len(strings.Trim(string(body), "\"\n")) == 0) {
		err = fmt.Errorf("%s: %s", response.Status, body)
	}
	return err
}
