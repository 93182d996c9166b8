package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/internal/atomicfile"
	"github.com/docker/libnetwork/kernel/process"
)

// Backend is what answers requests have behind them.
type Backend struct {
	Controller libnetwork.NetworkController
	Inspector  libnetwork.Inspector
	Lifetimes  server.Lifetimes
	Config     *config.Config
	Version    string
	Started    time.Time
	Log        *slog.Logger
}

// daemon is one run.
type daemon struct {
	options Options
	config  *config.Config
	// file is the path of the configuration file; empty if there is none.
	file     string
	level    slog.LevelVar
	log      *slog.Logger
	notifier notifier
	certs    certificates
	backend  Backend
	life     *lifetimes
	// signals are those that the process has got and that nobody has looked at.
	signals chan os.Signal
	// hurried says that a signal asked the daemon to end at once, while it was ending.
	hurried bool
}

// signalBacklog is how many signals may wait, as a rule while the daemon starts; of more the
// rest is dropped.
const signalBacklog = 8

// errHurried is what Run returns after a second signal.
var errHurried = cnm.E("end", cnm.Unavailable, errors.New("cut short by a second signal; the next start mends what was left half way"))

// Run runs the daemon until ctx is done, or a signal tells it to end: SIGTERM and SIGINT.
// Containers stay connected, and the next daemon finds them, unless the configuration asks
// for a clean end. Another such signal makes it return at once, with an error; then the
// process must end, since what went on goes on. All that is wrong with the configuration,
// the sockets or the data is an error before the first request is answered.
func Run(ctx context.Context, o Options) (err error) {
	// A signal that comes while the daemon starts is heard when it has started: only what
	// nobody has asked to be told of ends the process.
	d := &daemon{options: o, signals: make(chan os.Signal, signalBacklog)}
	signal.Notify(d.signals, handledSignals()...)
	defer signal.Stop(d.signals)
	if d.config, d.file, err = o.load(); err != nil {
		return err
	}
	if d.notifier, err = newNotifier(); err != nil {
		return err
	}
	d.setLog()
	listeners, err := d.listen(ctx)
	if err != nil {
		return err
	}
	defer closeListeners(listeners)
	if err := d.open(ctx); err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, d.close()); err == nil {
			d.log.Info("the daemon has ended")
		}
	}()
	if err := d.makeDefaultNetwork(ctx); err != nil {
		return err
	}
	d.life.restore()
	if pidFile := d.config.Dnet.PIDFile; pidFile != "" {
		if err := atomicfile.Write(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644); err != nil {
			return cnm.E("write PID file", cnm.Forbidden, err)
		}
		defer func() { _ = os.Remove(pidFile) }()
	}
	handler, err := d.handler()
	if err != nil {
		return err
	}
	stopPlugin, err := d.startPlugin(ctx)
	if err != nil {
		return err
	}
	defer stopPlugin()
	return d.serve(ctx, listeners, handler)
}

// close gives the controller back. What it has made stays.
func (d *daemon) close() error {
	if d.hurried {
		return nil // it has been told already
	}
	return d.unlessHurried(func() {
		d.life.stop()
		d.backend.Controller.Stop()
	})
}

// unlessHurried does something, unless a signal comes that asks to end at once: then it is
// left to itself, and to the end of the process.
func (d *daemon) unlessHurried(do func()) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	for {
		select {
		case <-done:
			return nil
		case s := <-d.signals:
			if s != signalReload() && s != signalDump() {
				d.hurried = true
				return errHurried
			}
		}
	}
}

// setLog makes the log that the configuration asks for that of the whole program: the
// library writes to the default one.
func (d *daemon) setLog() {
	to := d.options.LogOutput
	if to == nil {
		to = os.Stderr
	}
	d.level.Set(logLevel(d.config))
	options := &slog.HandlerOptions{Level: &d.level}
	var handler slog.Handler = slog.NewTextHandler(to, options)
	if d.config.Dnet.LogFormat == config.LogJSON {
		handler = slog.NewJSONHandler(to, options)
	}
	d.log = slog.New(handler)
	slog.SetDefault(d.log)
}

// open opens the controller on the data dir, which no other daemon may have.
func (d *daemon) open(ctx context.Context) error {
	started := time.Now()
	d.log.Info("opening the data dir", "data", d.config.Daemon.DataDir, "version", d.options.Version)
	if err := makeFolder(d.config.Daemon.ExecRoot); err != nil {
		return cnm.E("make folder of run-time files", cnm.Forbidden, err)
	}
	controller, err := libnetwork.New(func(c *config.Config) { *c = *d.config.Clone() })
	if err != nil {
		return d.explainOpen(err)
	}
	inspector := controller.(libnetwork.Inspector)
	d.life = newLifetimes(ctx, controller, inspector, d.log)
	d.backend = Backend{
		Controller: controller, Inspector: inspector, Lifetimes: d.life, Config: d.config,
		Version: d.options.Version, Started: started, Log: d.log,
	}
	records := inspector.Records()
	d.log.Info("restored", "networks", len(records.Networks), "endpoints", len(records.Endpoints),
		"sandboxes", len(records.Sandboxes), "took", time.Since(started).Round(time.Millisecond))
	return nil
}

// explainOpen says who has the store, if somebody has.
func (d *daemon) explainOpen(err error) error {
	path := storePath(d.config)
	if path == "" {
		return err
	}
	pid, name, holderErr := process.LockHolder(path)
	if holderErr != nil || pid == 0 || pid == os.Getpid() {
		return err
	}
	return cnm.E("open "+path, cnm.Exists, fmt.Errorf("process %d (%s) has it: one daemon at a time may use a data dir; stop that one, or give another with --data-dir", pid, name))
}

// listener is where requests come in.
type listener struct {
	net.Listener
	name string
	// local says that it is a Unix socket, whose clients' processes are known.
	local bool
}

// listen opens all sockets, or none.
func (d *daemon) listen(ctx context.Context) (_ []listener, err error) {
	tlsConfig, err := loadTLS(&d.config.Dnet)
	if err != nil {
		return nil, err
	}
	d.certs.current.Store(tlsConfig)
	passed, err := activatedListeners()
	if err != nil {
		return nil, err
	}
	hosts := d.config.Dnet.Hosts
	if len(hosts) == 0 && len(passed) == 0 {
		hosts = []string{settings.DefaultHost}
	}
	addresses, err := parseAddresses(hosts, tlsConfig != nil)
	if err != nil {
		closeAll(passed)
		return nil, err
	}
	group, err := groupID(d.config.Dnet.SocketGroup)
	if err != nil {
		closeAll(passed)
		return nil, err
	}
	limit := &connectionLimit{most: int64(d.config.Dnet.MaxConnections)}
	var all []listener
	add := func(l net.Listener, name string) {
		local := l.Addr().Network() == string(unixNetwork)
		secured := !local && tlsConfig != nil
		l = limitedListener{Listener: l, limit: limit, plain: !secured}
		if secured {
			l = tlsListener(l, &d.certs)
		}
		all = append(all, listener{Listener: l, name: name, local: local})
	}
	defer func() {
		if err != nil {
			closeListeners(all)
		}
	}()
	for _, l := range passed {
		if !loopbackOnly(l) && tlsConfig == nil {
			closeAll(passed)
			return nil, refuseOpen(l.Addr().String())
		}
		add(l, "fd://"+l.Addr().String())
	}
	for _, a := range addresses {
		var l net.Listener
		switch a.network {
		case activated:
			if len(passed) == 0 {
				return nil, cnm.E("listen at "+a.String(), cnm.NotFound, errors.New("systemd has passed on no sockets; start the daemon by its socket unit, or name an address"))
			}
			continue
		case unixNetwork:
			if passedOn(passed, a.where) {
				continue
			}
			l, err = listenUnix(a.where, group)
		default:
			l, err = listenTCP(ctx, a)
		}
		if err != nil {
			return nil, err
		}
		add(l, a.String())
	}
	return all, nil
}

// passedOn reports whether systemd has already opened the socket that the configuration
// names.
func passedOn(passed []net.Listener, path string) bool {
	return slices.ContainsFunc(passed, func(l net.Listener) bool {
		return l.Addr().Network() == string(unixNetwork) && l.Addr().String() == path
	})
}

func closeListeners(all []listener) {
	for _, l := range all {
		_ = l.Close()
	}
}

// handler makes what answers requests.
func (d *daemon) handler() (http.Handler, error) {
	if d.options.Handler != nil {
		return d.options.Handler(d.backend)
	}
	return wire(d.backend), nil
}

// Check reads the configuration file, strictly, and writes what would be in force with it.
// An empty path is the file that Run would read.
func Check(o Options, path string, out io.Writer) error {
	if path != "" {
		o.ConfigFile = path
	}
	cfg, path, err := o.load()
	if err != nil {
		return err
	}
	if _, err := loadTLS(&cfg.Dnet); err != nil {
		return err
	}
	if _, err := parseAddresses(cfg.Dnet.Hosts, cfg.Dnet.TLSCert != ""); err != nil {
		return err
	}
	if _, err := groupID(cfg.Dnet.SocketGroup); err != nil {
		return err
	}
	if path == "" {
		path = "no file; these are the defaults"
	}
	_, err = fmt.Fprintf(out, "# %s\n%s", path, strings.Join(effective(cfg), "\n")+"\n")
	return err
}

// dumpPath is where a dump for SIGUSR1 goes.
func (d *daemon) dumpPath() string {
	return filepath.Join(d.config.Daemon.ExecRoot, "dump-"+time.Now().UTC().Format("20060102T150405.000")+".txt")
}
