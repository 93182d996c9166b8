package daemon

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/process"
)

// notifier tells systemd how the daemon is, by the datagrams of sd_notify(3). Without
// systemd it does nothing.
type notifier struct {
	socket string
	// watchdog is how often systemd wants a sign of life; zero means never.
	watchdog time.Duration
}

// newNotifier reads the environment and clears it, so that no child speaks for the daemon.
func newNotifier() (notifier, error) {
	n := notifier{socket: os.Getenv("NOTIFY_SOCKET")}
	usec, pid := os.Getenv("WATCHDOG_USEC"), os.Getenv("WATCHDOG_PID")
	if usec != "" && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		number, err := strconv.ParseUint(usec, 10, 53)
		if err != nil || number == 0 {
			return n, cnm.E("systemd", cnm.Invalid, fmt.Errorf("$WATCHDOG_USEC is %q, which is no number above 0", usec))
		}
		n.watchdog = time.Duration(number) * time.Microsecond
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		if err := os.Unsetenv(name); err != nil {
			return n, cnm.E("systemd", cnm.Internal, err)
		}
	}
	return n, nil
}

// send tells systemd; the state has one assignment a line. A name that begins with @ is
// one of the abstract name space, which net knows.
func (n notifier) send(state string) error {
	if n.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.socket, Net: "unixgram"})
	if err != nil {
		return cnm.E("notify systemd", cnm.Unavailable, err)
	}
	defer conn.Close() //nolint:errcheck // a datagram is sent or not
	if _, err := conn.Write([]byte(state)); err != nil {
		return cnm.E("notify systemd", cnm.Unavailable, err)
	}
	return nil
}

// reloading is the state that a reload begins with; READY=1 ends it.
func (n notifier) reloading() error {
	now, err := process.Monotonic()
	if err != nil {
		return err
	}
	return n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Microseconds()))
}
