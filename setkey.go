package libnetwork

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/internal/setkey"
	"github.com/docker/libnetwork/kernel/process"
)

// ExternalKey is the namespace of a container whose sandbox, made with
// OptionUseExternalKey, belongs to a controller of another process on this machine. In
// the controller's own process there is Sandbox.SetKey.
type ExternalKey struct {
	// ControllerID is what NetworkController.ID returns, or its first 12 digits.
	ControllerID string
	ContainerID  string
	// Key is the absolute path of a network namespace, as the controller sees it, such as
	// /proc/PID/ns/net.
	Key string
	// ExecRoot is the controller's; empty means config.DefaultExecRoot.
	ExecRoot string
}

// Set gives the sandbox its namespace, by the controller's socket
// EXECROOT/libnetwork/CONTROLLER.sock. A controller that does not listen there is
// Unavailable; what it refuses is Forbidden, in its words.
func (k ExternalKey) Set(ctx context.Context) error {
	op := fmt.Sprintf("set key %q of %s", k.Key, quote("sandbox of container", k.ContainerID))
	if err := checkID(k.ControllerID); err != nil {
		return operationError(op, invalid("controller %q: want what its method ID returns, or the first 12 digits", k.ControllerID))
	}
	socket := setkey.Socket(cmp.Or(k.ExecRoot, config.DefaultExecRoot), k.ControllerID)
	return operationError(op, setkey.Send(ctx, socket, setkey.Request{ContainerID: k.ContainerID, Key: k.Key}))
}

// SetExternalKey is ExternalKey.Set for a controller with the default exec root. It waits
// as long as the controller takes.
func SetExternalKey(controllerID string, containerID string, key string) error {
	return ExternalKey{ControllerID: controllerID, ContainerID: containerID, Key: key}.Set(context.Background())
}

const (
	// keysAtOnce is how many requests are carried out at a time; more wait in the kernel.
	keysAtOnce = 32
	// keyMessageTime is what a client has for sending its request, and for taking the
	// answer: it is on the same machine.
	keyMessageTime = 5 * time.Second
	// longestSocket is how long the path of a Unix socket may be, in bytes (unix(7)).
	longestSocket = 107
)

// takeKeys lets other processes set the keys of external sandboxes, until Stop. Without it
// they cannot, and all else works.
func (c *controller) takeKeys() {
	listener, err := listenForKeys(c.paths.keys)
	if err != nil {
		c.log.Warn("hooks of container runtimes cannot set keys of sandboxes", "error", err)
		return
	}
	ctx, group := c.background.ctx, &c.background.group
	group.Go(func() {
		<-ctx.Done()
		_ = listener.Close() // it removes the socket
	})
	group.Go(func() {
		room := make(chan struct{}, keysAtOnce)
		for {
			room <- struct{}{}
			conn, err := listener.AcceptUnix()
			switch {
			case ctx.Err() != nil:
				if err == nil {
					_ = conn.Close()
				}
				return
			case err != nil:
				<-room
				c.log.Error("take keys of sandboxes", "error", err)
				select { // such as too many open files: that passes
				case <-ctx.Done():
				case <-time.After(time.Second):
				}
				continue
			}
			group.Go(func() {
				defer func() { <-room }()
				c.takeKey(ctx, conn)
			})
		}
	})
}

// takeKey answers one client. Whether the answer arrives changes nothing.
func (c *controller) takeKey(ctx context.Context, conn *net.UnixConn) {
	defer conn.Close() //nolint:errcheck // all has been written or is of no use
	if err := conn.SetReadDeadline(time.Now().Add(keyMessageTime)); err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err := c.setKeyFor(ctx, conn)
	if conn.SetWriteDeadline(time.Now().Add(keyMessageTime)) == nil {
		_ = setkey.Answer(conn, err)
	}
}

func (c *controller) setKeyFor(ctx context.Context, conn *net.UnixConn) error {
	user, err := process.PeerUser(conn)
	if err != nil {
		return err
	}
	if user != 0 && user != os.Geteuid() {
		return cnm.E("", cnm.Forbidden, fmt.Errorf("user %d may not set keys of sandboxes: only root and the controller's own may", user))
	}
	request, err := setkey.Read(conn)
	if err != nil {
		return err
	}
	for _, sb := range c.allSandboxes() {
		if sb.ContainerID() == request.ContainerID {
			return sb.SetKeyContext(ctx, request.Key)
		}
	}
	return cnm.E("set key of "+quote("sandbox of container", request.ContainerID), cnm.NotFound, errors.New("there is no such sandbox"))
}

// listenForKeys opens the socket in a folder that nobody else can enter, so that nobody
// can connect before the socket has its mode either.
func listenForKeys(path string) (*net.UnixListener, error) {
	op := fmt.Sprintf("listen at %q", path)
	if len(path) > longestSocket {
		return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("the path of a socket may have %d bytes; choose a shorter exec root", longestSocket))
	}
	folder := filepath.Dir(path)
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return nil, fileError(op, err)
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fileError(op, err)
	}
	if info, err := os.Lstat(folder); err != nil || !info.IsDir() {
		return nil, cnm.E(op, cnm.Exists, errors.Join(err, fmt.Errorf("%q is not a folder; remove it", folder)))
	}
	if err := os.Chmod(folder, 0o700); err != nil {
		return nil, fileError(op, err)
	}
	if err := removeDeadSocket(path); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fileError(op, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fileError(op, err), listener.Close())
	}
	return listener, nil
}

// removeDeadSocket removes the socket of a controller that has been killed. Nobody else
// has this id now: the store is ours.
func removeDeadSocket(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fileError("", err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return cnm.E("", cnm.Exists, errors.New("there is a file that is no socket; remove it"))
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		return errors.Join(cnm.E("", cnm.Exists, errors.New("another controller with the same id listens there")), conn.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fileError("", err)
	}
	if err := os.Remove(path); err != nil {
		return fileError("", err)
	}
	return nil
}
