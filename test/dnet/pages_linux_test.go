package dnet

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// TestGettingStarted runs the commands of the page as they stand.
func TestGettingStarted(t *testing.T) {
	text, err := os.ReadFile("../../docs/getting-started.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(string(text), -1)
	if len(blocks) < 4 {
		t.Fatalf("only %d blocks of commands", len(blocks))
	}
	m := newMachine(t, kerneltest.NewNamespace(t))
	m.start()
	script := "set -e\n"
	for _, block := range blocks {
		// What runs in the background is there when its endpoint is.
		script += strings.ReplaceAll(block[1], "sleep 30 &\n", "sleep 30 &\nuntil dnet endpoint inspect www >/dev/null 2>&1; do sleep 0.05; done\n")
	}
	script += "kill %1\nwait || true\ndnet network rm web\n"
	cmd := exec.Command("bash", "-c", script)
	cmd.Env = append(os.Environ(), "DNET_HOST=unix://"+m.socket, "PATH="+filepath.Dir(program(t))+":"+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, wanted := range []string{"0.0.0.0:8080->80/tcp", "10.88.0.77/24", "does not arrive", "10.88.0.2"} {
		if !strings.Contains(string(out), wanted) {
			t.Errorf("%q is not in what the page's commands print:\n%s", wanted, out)
		}
	}
}

// TestLinksOfPages: what the pages for users refer to is there.
func TestLinksOfPages(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, "../../README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
