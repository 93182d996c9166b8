package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/docker/libnetwork/config"
)

// TestExampleIsValid reads the example with each of its settings switched on: all keys must
// be known, and what it says is the default must be one.
func TestExampleIsValid(t *testing.T) {
	text, err := os.ReadFile("libnetwork.toml")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "libnetwork.toml")
	on := regexp.MustCompile(`(?m)^# (\w+ = )`).ReplaceAllString(string(text), "$1")
	for _, content := range []string{string(text), on} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.ParseConfig(path); err != nil {
			t.Errorf("%v\n%s", err, content)
		}
	}
}

// TestPackage builds the Debian package and looks at what is in it.
func TestPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("there is no dpkg-deb, which comes with Debian only")
	}
	out, err := exec.Command("make", "-C", "..", "--no-print-directory", "deb", "VERSION=0.0.1test").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	built, err := filepath.Glob("../bin/libnetwork-dnet_0.0.1test_*.deb")
	if err != nil || len(built) != 1 {
		t.Fatalf("built %q: %v", built, err)
	}
	defer os.Remove(built[0]) //nolint:errcheck // it is the test's own
	out, err = exec.Command("dpkg-deb", "--contents", built[0]).CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{
		"./usr/bin/libnetwork-dnet\n", "./lib/systemd/system/libnetwork-dnet.service\n", "./lib/systemd/system/libnetwork-dnet.socket\n",
		"./usr/share/man/man8/libnetwork-dnet.8.gz\n", "./usr/share/doc/libnetwork-dnet/examples/libnetwork.toml\n",
	} {
		if !strings.Contains(string(out), wanted) {
			t.Errorf("%q is not in the package:\n%s", strings.TrimSpace(wanted), out)
		}
	}
	if strings.Contains(string(out), " ./usr/bin/dnet\n") {
		t.Errorf("the package has a file of Debian's docker.io")
	}
}
