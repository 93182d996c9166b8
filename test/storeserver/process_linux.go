package storeserver

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// startLimit is how long a server may take to start, on a busy machine.
const startLimit = 60 * time.Second

// Server is a process that serves a store.
type Server struct {
	// Address is where clients reach it, host:port.
	Address string

	t       testing.TB
	program string
	args    []string
	env     []string
	folder  string
	ready   func() error // nil once the server serves
	command *exec.Cmd
	done    chan struct{} // closed when the process has ended
}

// folder makes one for a test's data. As root it is in the memory of the test's own
// namespace, for nothing here needs to survive the machine.
func folder(t testing.TB) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return t.TempDir()
	}
	path, err := os.MkdirTemp("/run", "storeserver")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(path); err != nil {
			t.Error(err)
		}
	})
	return path
}

// freePorts returns ports of the loopback that nobody listens on.
func freePorts(t testing.TB, count int) []int {
	t.Helper()
	ports := make([]int, count)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close() //nolint:errcheck // it carried nothing
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	return ports
}

// program finds one, and fails the test if it is missing.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: run scripts/install-deps", err)
	}
	return path
}

// begin starts the process without waiting until it serves.
func (s *Server) begin() {
	s.t.Helper()
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() //nolint:errcheck // the process has its own
	s.command = exec.Command(s.program, s.args...)
	s.command.Dir, s.command.Env = s.folder, append(os.Environ(), s.env...)
	s.command.Stdout, s.command.Stderr = log, log
	// A server must not outlive a test that is killed.
	s.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.command.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.done = make(chan struct{})
	command, done := s.command, s.done
	go func() { // ends with the process, which Kill waits for
		defer close(done)
		_ = command.Wait()
	}()
}

func (s *Server) logPath() string { return filepath.Join(s.folder, "log") }

// wait waits until the server serves.
func (s *Server) wait() {
	s.t.Helper()
	deadline := time.Now().Add(startLimit)
	for {
		err := s.ready()
		if err == nil {
			return
		}
		select {
		case <-s.done:
			err = errors.New("it ended")
		case <-time.After(20 * time.Millisecond):
			if time.Now().Before(deadline) {
				continue
			}
		}
		log, _ := os.ReadFile(s.logPath())
		if len(log) > 4000 {
			log = log[len(log)-4000:]
		}
		s.t.Fatalf("%s does not serve: %v\n%s", filepath.Base(s.program), err, log)
	}
}

// Start starts the server on the data that it had, and waits until it serves.
func (s *Server) Start() {
	s.t.Helper()
	s.begin()
	s.wait()
}

// Kill ends the process at once, and waits for its end.
func (s *Server) Kill() {
	s.t.Helper()
	if s.command == nil {
		return
	}
	if err := s.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Error(err)
	}
	<-s.done
	s.command = nil
}

// Pause makes the process stand still, with its connections open, and waits until all its
// threads do.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	for deadline := time.Now().Add(startLimit); !stopped(s.command.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatal("the server does not stand still")
		}
	}
}

// stopped reports whether all threads of a process are stopped: proc(5), the field behind
// the name in stat.
func stopped(pid int) bool {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range files {
		var content []byte
		if content, err = os.ReadFile(file); err != nil {
			break
		}
		if at := bytes.LastIndexByte(content, ')'); at < 0 || !bytes.HasPrefix(content[at+1:], []byte(" T")) {
			return false
		}
	}
	return err == nil && len(files) > 0
}

// Resume lets it go on.
func (s *Server) Resume() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.command.Process.Signal(signal); err != nil {
		s.t.Error(err)
	}
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// answers asks a server in plain text and returns the first line of its answer.
func answers(address, question string) (string, error) {
	connection, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return "", err
	}
	defer connection.Close() //nolint:errcheck // all was read
	if err := connection.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprint(connection, question); err != nil {
		return "", err
	}
	buffer := make([]byte, 1024)
	n, err := connection.Read(buffer)
	return string(buffer[:n]), err
}
