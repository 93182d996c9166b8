package libnetwork_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// TestReadmePublishes builds the program of the README that publishes a port, as it
// stands, runs it, and fetches a page of its container with curl from another machine.
func TestReadmePublishes(t *testing.T) {
	l := newLan(t)
	source := ""
	for _, code := range snippets(t, "README.md", "go") {
		if strings.Contains(code, "OptionPortMapping") {
			source = code
		}
	}
	program := filepath.Join(t.TempDir(), "main")
	ok(t, os.WriteFile(program+".go", []byte(source), 0o600))
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", program, program+".go").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	var out, complaints bytes.Buffer
	ok(t, kerneltest.Do(l.Host, func() error {
		command := exec.Command(program)
		command.Stdout, command.Stderr = &out, &complaints
		return command.Run()
	}))
	key := strings.TrimSpace(out.String())
	var listener net.Listener
	if err := kerneltest.Do(key, func() (err error) { listener, err = net.Listen("tcp", ":80"); return err }); err != nil {
		t.Fatalf("%v: %s", err, complaints.String())
	}
	const page = "hello from the container"
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(page))
	})}
	go func() { _ = server.Serve(listener) }()
	defer server.Shutdown(context.Background()) //nolint:errcheck // nothing is left to be served
	for _, from := range []string{l.Neighbor, l.Remote, l.Host} {
		if got := run(t, from, "curl", "--silent", "--show-error", "--max-time", "5", "http://"+kerneltest.HostIPv4+":8080/"); got != page {
			t.Errorf("page %q, want %q", got, page)
		}
	}
	c := must[libnetwork.NetworkController](t)(libnetwork.New(config.OptionHostNamespace(l.Host)))
	defer c.Stop()
	empty(t, c)
}
