package plugin_test

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

// folderOfRoot, in the environment, has the test below look for a plugin there.
const folderOfRoot = "LIBNETWORK_TEST_PLUGINS_OF_ROOT"

// A process without root that may not connect to a plugin is told so at once.
func TestNoPermission(t *testing.T) {
	if folder := os.Getenv(folderOfRoot); folder != "" {
		r := plugin.New(plugin.Options{SocketFolders: []string{folder}})
		defer r.Close() //nolint:errcheck // it returns none
		start := time.Now()
		if _, err := r.Get(t.Context(), "p", "NetworkDriver"); !errors.Is(err, cnm.Forbidden) || time.Since(start) > time.Second {
			t.Errorf("after %s: error %v", time.Since(start), err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be somebody else: run the tests with sudo")
	}
	p := plugintest.Start(t, "p", "NetworkDriver")
	if err := os.Chmod(p.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("/proc/self/exe", "-test.run=^TestNoPermission$", "-test.v")
	command.Env = append(os.Environ(), folderOfRoot+"="+p.Folder)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
	if printed, err := command.CombinedOutput(); err != nil || !strings.Contains(string(printed), "--- PASS") {
		t.Errorf("%v\n%s", err, printed)
	}
}
