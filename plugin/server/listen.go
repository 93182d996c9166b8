package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/fileowner"
)

const (
	socketMode = 0o660
	folderMode = 0o700
)

// Limits of a connection: an engine needs less for the head of a request and its body.
// Answers may take requestTime.
const (
	headTime = 5 * time.Second
	bodyTime = 30 * time.Second
	idleTime = 2 * time.Minute
	maxHead  = 64 << 10 // bytes
)

// Listen makes the socket of a plugin, for root alone, in a folder that only root can
// change, which is made if it is not there. The file of a plugin that has died is replaced;
// a living one is Exists. Closing removes the file, unless it is another's by then.
func Listen(path string) (_ net.Listener, err error) {
	op := "listen at unix://" + path
	if err := probe(path); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	folder := filepath.Dir(path)
	if err := makeFolder(folder); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	// It gets its mode where nobody else can reach it.
	hidden, err := os.MkdirTemp(folder, ".s")
	if err != nil {
		return nil, cnm.E(op, cnm.Forbidden, err)
	}
	defer func() { _ = os.RemoveAll(hidden) }()
	made := filepath.Join(hidden, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, cnm.E(op, cnm.Unavailable, err)
	}
	l.SetUnlinkOnClose(false)
	err = errors.Join(os.Chmod(made, socketMode), os.Rename(made, path))
	var info os.FileInfo
	if err == nil {
		info, err = os.Lstat(path)
	}
	if err != nil {
		return nil, errors.Join(cnm.E(op, cnm.Forbidden, err), l.Close())
	}
	return &listener{UnixListener: l, path: path, file: info}, nil
}

// listener removes its file once.
type listener struct {
	*net.UnixListener
	path string
	file os.FileInfo
	once sync.Once
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() {
		if now, err := os.Lstat(l.path); err == nil && os.SameFile(now, l.file) {
			_ = os.Remove(l.path)
		}
	})
	return l.UnixListener.Close()
}

// probe looks what is at the path.
func probe(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return cnm.E("", cnm.Forbidden, err)
	case info.Mode().Type() != fs.ModeSocket:
		return cnm.E("", cnm.Exists, errors.New("there is a file that is no socket; remove it, or choose another name"))
	}
	conn, err := net.Dial("unix", path)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	case err != nil:
		return cnm.E("", cnm.Unavailable, fmt.Errorf("the socket that is there cannot be tried: %w", err))
	}
	_ = conn.Close()
	return cnm.E("", cnm.Exists, errors.New("a plugin of that name is running; stop it, or choose another name"))
}

// makeFolder refuses a folder in which somebody else could put another socket.
func makeFolder(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return cnm.E("", cnm.Forbidden, err)
	}
	if err := os.Mkdir(path, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return cnm.E("", cnm.Forbidden, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return cnm.E("", cnm.Forbidden, err)
	}
	if uid, _, ok := fileowner.Of(info); ok && uid != 0 && uid != os.Geteuid() {
		return cnm.E("", cnm.Forbidden, fmt.Errorf("folder %q: belongs to user %d, who could put another socket there; chown it", path, uid))
	}
	const others = 0o022
	if !info.IsDir() || info.Mode().Perm()&others != 0 {
		return cnm.E("", cnm.Forbidden, fmt.Errorf("folder %q: others than its owner may change it; chmod go-w it", path))
	}
	return nil
}

// Serve answers at the listener until ctx is done; then requests under way have the time
// to end. The listener is closed when it returns.
func Serve(ctx context.Context, l net.Listener, handler http.Handler, grace time.Duration, log *slog.Logger) error {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: headTime, ReadTimeout: bodyTime, MaxHeaderBytes: maxHead,
		IdleTimeout: idleTime, WriteTimeout: bodyTime + requestTime + bodyTime,
		ConnContext: withConnection,
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(l) }()
	select {
	case err := <-failed:
		return cnm.E("answer at unix://"+l.Addr().String(), cnm.Internal, errors.Join(err, s.Close()))
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := s.Shutdown(end); err != nil {
		log.Warn("some requests of the engine were cut short", "error", err)
		_ = s.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return cnm.E("answer at unix://"+l.Addr().String(), cnm.Internal, err)
	}
	return nil
}
