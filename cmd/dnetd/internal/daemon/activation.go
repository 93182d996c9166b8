package daemon

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// firstActivated is the descriptor of the first socket that systemd passes on
// (SD_LISTEN_FDS_START of sd_listen_fds(3)).
const firstActivated = 3

// activatedListeners takes over the sockets that systemd has opened for this process; none
// is no error. It works once: the environment is cleared, so that nobody else takes them.
func activatedListeners() ([]net.Listener, error) {
	pid, count := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	if pid != strconv.Itoa(os.Getpid()) {
		return nil, nil // it is for another process, or for nobody
	}
	for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		if err := os.Unsetenv(name); err != nil {
			return nil, cnm.E("sockets of systemd", cnm.Internal, err)
		}
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, cnm.E("sockets of systemd", cnm.Invalid, fmt.Errorf("$LISTEN_FDS is %q, which is no number", count))
	}
	var all []net.Listener
	for i := range n {
		name := "unnamed"
		if i < len(names) && names[i] != "" {
			name = names[i]
		}
		listener, err := activatedListener(firstActivated + i)
		if err != nil {
			closeAll(all)
			return nil, cnm.E(fmt.Sprintf("socket %d of systemd, %q", firstActivated+i, name), cnm.Invalid, err)
		}
		all = append(all, listener)
	}
	return all, nil
}

func activatedListener(fd int) (net.Listener, error) {
	file := os.NewFile(uintptr(fd), "systemd")
	if file == nil {
		return nil, errors.New("is not open")
	}
	defer file.Close() //nolint:errcheck // the listener has its own
	listener, err := net.FileListener(file)
	if err != nil {
		return nil, fmt.Errorf("is no listening stream socket: %w", err)
	}
	return listener, nil
}

// loopbackOnly reports whether only this machine can reach the listener.
func loopbackOnly(listener net.Listener) bool {
	where, ok := listener.Addr().(*net.TCPAddr)
	return !ok || where.IP.IsLoopback()
}

func closeAll(listeners []net.Listener) {
	for _, listener := range listeners {
		_ = listener.Close()
	}
}
