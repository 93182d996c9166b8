package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

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
		"./usr/bin/libnetwork-dnet\n", "./usr/libexec/dnet/dnetd\n", "./usr/bin/dnet-hook\n", "./usr/bin/libnetwork-setkey -> dnet-hook\n",
		"./lib/systemd/system/libnetwork-dnet.service\n", "./lib/systemd/system/libnetwork-dnet.socket\n",
		"./lib/systemd/system/libnetwork-dnet-plugin.service\n",
		"./usr/lib/cni/dnet-cni\n", "./usr/share/doc/libnetwork-dnet/examples/10-dnet.conflist\n",
		"./usr/share/man/man8/libnetwork-dnet.8.gz\n", "./usr/share/doc/libnetwork-dnet/examples/libnetwork.toml\n",
	} {
		if !strings.Contains(string(out), wanted) {
			t.Errorf("%q is not in the package:\n%s", strings.TrimSpace(wanted), out)
		}
	}
	unit, err := os.ReadFile("dnet.service")
	if err != nil {
		t.Fatal(err)
	}
	started := regexp.MustCompile(`(?m)^ExecStart=(\S+)`).FindSubmatch(unit)
	if started == nil || !strings.Contains(string(out), " ."+string(started[1])+"\n") {
		t.Errorf("what the unit starts, %q, is not in the package:\n%s", started, out)
	}
	if strings.Contains(string(out), " ./usr/bin/dnet\n") {
		t.Errorf("the package has a file of Debian's docker.io")
	}
}
