package main

import (
	"os/exec"
	"strings"
	"testing"
)

// TestLinksNothingHeavy: a container waits for the start of this program. What takes long to
// start, or makes it large, belongs to the daemon.
func TestLinksNothingHeavy(t *testing.T) {
	out, err := exec.Command("go", "list", "-tags", "localstores", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	packages := strings.Fields(string(out))
	if len(packages) < 100 {
		t.Fatalf("there are %d packages only", len(packages))
	}
	for _, path := range packages {
		for _, heavy := range []string{
			"github.com/prometheus/", "github.com/spf13/", "google.golang.org/", "go.etcd.io/etcd/", "go.opentelemetry.io/",
			"github.com/hashicorp/", "github.com/docker/libnetwork/diag", "github.com/docker/libnetwork/api/server",
		} {
			if strings.HasPrefix(path, heavy) {
				t.Errorf("%s is linked", path)
			}
		}
	}
}
