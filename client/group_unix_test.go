//go:build unix

package client_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

// stranger, in the environment, is the socket that this program asks as nobody.
const stranger = "LIBNETWORK_TEST_SOCKET"

// TestPermissionNamesTheGroup starts itself as nobody, who may not use the socket.
func TestPermissionNamesTheGroup(t *testing.T) {
	if socket := os.Getenv(stranger); socket != "" {
		c, err := client.New("unix://" + socket)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Info(t.Context())
		var report *api.Error
		if errors.As(err, &report) {
			t.Logf("told: %s; %s", report.Message, report.Detail)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	folder, err := os.MkdirTemp("", "dnet")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	socket := filepath.Join(folder, "s")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close() //nolint:errcheck // nothing is lost
	program := filepath.Join(folder, "test")
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Chmod(folder, 0o755), os.Chmod(socket, 0o660), os.Chown(socket, 0, 1),
		os.WriteFile(program, self, 0o755), os.Chmod(program, 0o755),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	command := exec.Command(program, "-test.run", "^TestPermissionNamesTheGroup$", "-test.v")
	command.Dir = folder
	command.Env = append(os.Environ(), stranger+"="+socket)
	command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := "told: cannot reach the daemon at unix://" + socket + ": permission denied; run it as root, or as a member of the group daemon"
	if !strings.Contains(string(out), want) {
		t.Errorf("got %s, want %s", out, want)
	}
}
