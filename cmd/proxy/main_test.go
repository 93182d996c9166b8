package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestBadFlags(t *testing.T) {
	good := map[string]string{"host-ip": "127.0.0.1", "host-port": "1", "container-ip": "127.0.0.1", "container-port": "1"}
	for _, test := range []struct{ flag, value, says string }{
		{"proto", "sctp", "not relayed"},
		{"proto", "icmp", "want tcp or udp"},
		{"host-ip", "localhost", "-host-ip"},
		{"host-port", "0", "-host-port 0"},
		{"host-port", "65536", "-host-port 65536"},
		{"container-ip", "", "-container-ip"},
		{"container-port", "-1", "container-port"},
		{"nonsense", "", "nonsense"},
	} {
		var args []string
		for name, value := range good {
			if name != test.flag {
				args = append(args, "-"+name, value)
			}
		}
		args = append(args, "-"+test.flag+"="+test.value)
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if status := run(context.Background(), args, &out, write); status != 1 {
			t.Errorf("-%s=%s: status %d, want 1", test.flag, test.value, status)
		}
		report, err := io.ReadAll(read)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{out.String(), string(report)} {
			if !strings.Contains(text, test.says) {
				t.Errorf("-%s=%s: %q does not say %q", test.flag, test.value, text, test.says)
			}
		}
		if !strings.HasPrefix(string(report), "1\n") {
			t.Errorf("-%s=%s: report %q, want 1 and the reason", test.flag, test.value, report)
		}
	}
}

// TestProgram runs the program as its users do.
func TestProgram(t *testing.T) {
	program := filepath.Join(t.TempDir(), "proxy")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	target, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = target.Close() }()
	go func() {
		for {
			conn, err := target.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello")
			_ = conn.Close()
		}
	}()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port
	args := []string{"-proto", "tcp", "-host-ip", "127.0.0.1", "-host-port", strconv.Itoa(port),
		"-container-ip", "127.0.0.1", "-container-port", strconv.Itoa(target.Addr().(*net.TCPAddr).Port)}

	// The port is taken still.
	if _, report := startProgram(t, program, args); !strings.HasPrefix(report, "1\n") || !strings.Contains(report, "in use") {
		t.Errorf("report %q, want 1 and that the port is in use", report)
	}
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	command, report := startProgram(t, program, args)
	if report != "0\n" {
		t.Fatalf("report %q, want 0", report)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "hello" {
		t.Errorf("got %q, error %v", got, err)
	}
	_ = conn.Close()
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := command.Wait(); err != nil {
		t.Errorf("ended by SIGTERM: %v", err)
	}
}

// startProgram returns what the program reports. If that is success, it runs.
func startProgram(t *testing.T, program string, args []string) (*exec.Cmd, string) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = read.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	command := exec.CommandContext(ctx, program, args...)
	command.ExtraFiles = []*os.File{write}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = write.Close()
	report, err := io.ReadAll(read)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(report), "0") {
		if err := command.Wait(); err == nil {
			t.Errorf("report %q, but status 0", report)
		}
	}
	return command, string(report)
}
