package daemon

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/cnm"
)

// Limits of a connection. A request's head is small, and its body a megabyte at most, so
// who needs longer for them means no good; answers have limits of their own.
const (
	headTime = 5 * time.Second
	bodyTime = 30 * time.Second
	idleTime = 2 * time.Minute
	maxHead  = 64 << 10
)

// connectionKey finds the connection of a request in its context.
type connectionKey struct{}

// serve answers requests at all listeners until ctx is done, a signal ends it, or a
// listener fails.
func (d *daemon) serve(ctx context.Context, listeners []listener, handler http.Handler) error {
	var group sync.WaitGroup
	failed := make(chan error, len(listeners))
	var servers []*http.Server
	for _, l := range listeners {
		s := d.newServer(l, handler)
		servers = append(servers, s)
		group.Go(func() {
			if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- cnm.E("answer at "+l.name, cnm.Internal, err)
			}
		})
		d.log.Info("listening", "at", l.name)
	}
	defer group.Wait()
	stopWatchdog := d.watchdog(ctx)
	if err := d.notifier.send("READY=1"); err != nil {
		d.log.Error("tell systemd", "error", err)
	}
	err := d.wait(ctx, failed)
	if tellErr := d.notifier.send("STOPPING=1"); tellErr != nil {
		d.log.Error("tell systemd", "error", tellErr)
	}
	hurried := d.unlessHurried(func() {
		stopWatchdog()
		d.shutDown(servers, handler)
	})
	for _, s := range servers {
		_ = s.Close() // they are closed, but for a hurry
	}
	return errors.Join(err, hurried)
}

// newServer makes the server of one listener. By TCP a web page could reach it too.
func (d *daemon) newServer(l listener, handler http.Handler) *http.Server {
	if !l.local {
		handler = server.Guard(handler, d.config.Dnet.AllowedHosts...)
	}
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: headTime, ReadTimeout: bodyTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHead,
		ErrorLog: slog.NewLogLogger(d.log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connectionKey{}, conn)
		},
	}
}

// wait returns when it is time to end, with the reason if that is an error.
func (d *daemon) wait(ctx context.Context, failed <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-failed:
			return err
		case s := <-d.signals:
			switch s {
			case signalReload():
				d.reload()
			case signalDump():
				d.dump()
			default:
				d.log.Info("ending", "signal", s.String())
				return nil
			}
		}
	}
}

// shutDown lets requests under way end, within the time that the configuration gives them,
// and takes no new ones.
func (d *daemon) shutDown(servers []*http.Server, handler http.Handler) {
	ctx, cancel := context.WithTimeout(context.Background(), d.config.Dnet.ShutdownTimeout)
	defer cancel()
	if streams, ok := handler.(io.Closer); ok {
		_ = streams.Close() // it ends the streams of events
	}
	var group sync.WaitGroup
	for _, s := range servers {
		group.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				d.log.Warn("some requests were cut short", "error", err)
				_ = s.Close()
			}
		})
	}
	group.Wait()
	if d.config.Dnet.ShutdownClean {
		// However long it takes: a second signal ends it.
		d.clean(context.Background())
	}
}

// watchdog tells systemd that the daemon lives: its controller answers. What else may be
// wrong, such as a full disk, a restart would not mend.
func (d *daemon) watchdog(ctx context.Context) (stop func()) {
	if d.notifier.watchdog == 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		// Half the time, as sd_watchdog_enabled(3) advises.
		ticker := time.NewTicker(d.notifier.watchdog / 2)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			d.backend.Controller.Networks() // it does not return if a lock is held for ever
			if err := d.notifier.send("WATCHDOG=1"); err != nil {
				d.log.Error("tell systemd", "error", err)
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

func tlsListener(l net.Listener, certs *certificates) net.Listener {
	return tls.NewListener(l, certs.config())
}
