package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

func (s *Server) info(*request) (any, error) {
	cfg, records := s.Controller.Config(), s.Inspector.Records()
	out := api.Info{
		Version: s.Version, ControllerID: s.Controller.ID(),
		Drivers: s.Controller.BuiltinDrivers(), IPAMDrivers: s.Controller.BuiltinIPAMDrivers(),
		DefaultNetwork: s.DefaultNetwork, DefaultDriver: cfg.Daemon.DefaultDriver,
		Firewall: s.Inspector.Statistics().Firewall, DataDir: cfg.Daemon.DataDir, ExecRoot: cfg.Daemon.ExecRoot,
		Labels: cfg.Daemon.Labels, Started: s.Started, PID: os.Getpid(),
		Networks: len(records.Networks), Endpoints: len(records.Endpoints), Sandboxes: len(records.Sandboxes),
		Kernel: s.Kernel, Go: runtime.Version(),
	}
	return out, nil
}

func (s *Server) version(*request) (any, error) { return api.Version{Version: s.Version}, nil }

func (s *Server) health(r *request) (any, error) {
	if s.Health == nil {
		return nil, missing("health")
	}
	return s.Health(r.Context()), nil
}

func missing(what string) error {
	return cnm.E(what, cnm.Unsupported, errors.New("this daemon does not have it"))
}

func (s *Server) doctor(r *request) (any, error) {
	if s.Doctor == nil {
		return nil, missing("doctor")
	}
	findings, err := s.Doctor(r.Context())
	if err != nil {
		return nil, err
	}
	return append([]api.Finding{}, findings...), nil
}

func (s *Server) why(r *request) (any, error) {
	if s.Explain == nil {
		return nil, missing("why")
	}
	from, to, protocol := r.query.Get("from"), r.query.Get("to"), r.query.Get("protocol")
	if from == "" || to == "" {
		return nil, invalid("query: want from=A and to=B")
	}
	port := uint64(0)
	if text := r.query.Get("port"); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil {
			return nil, invalid("query \"port\": value %q: want a number from 0 to 65535", text)
		}
	}
	if protocol == "" {
		protocol = "tcp"
	}
	return s.Explain(r.Context(), from, to, int(port), protocol)
}

// repair answers with a report, or with a line of progress for each object before it.
func (s *Server) repair(r *request) error {
	dry, err := r.flag("dry-run")
	if err != nil {
		return err
	}
	options := libnetwork.MendOptions{DryRun: dry}
	if key := r.query.Get("sandbox"); key != "" {
		sb, err := s.sandbox(key)
		if err != nil {
			return err
		}
		options.Sandbox = sb.ID()
	}
	if !accepts(r.Request, "application/x-ndjson") {
		report, err := s.mend(r, options)
		if err != nil {
			return err
		}
		s.answer(r.w, http.StatusOK, report)
		return nil
	}
	r.w.Header().Set("Content-Type", "application/x-ndjson")
	last := api.RepairProgress{}
	lines, written := make(chan api.RepairProgress, 64), make(chan struct{})
	go func() {
		defer close(written)
		writeLines(r.w, lines)
	}()
	func() {
		defer func() { close(lines); <-written }()
		// The controller's locks are held meanwhile, so nothing waits for the client: one
		// that is slow gets fewer lines.
		options.Progress = func(done, total int, subject string) {
			last = api.RepairProgress{Done: done, Total: total, Subject: subject}
			select {
			case lines <- last:
			default:
			}
		}
		var report api.RepairReport
		report, err = s.mend(r, options)
		last.Subject, last.Report = "", &report
	}()
	if err != nil {
		last.Report, last.Error = nil, &api.Error{Message: err.Error(), Kind: cnm.KindOf(err)}
	}
	_ = json.NewEncoder(r.w).Encode(last) // the client may have gone
	return nil
}

// writeLines writes what comes as lines of JSON, until the client takes no more.
func writeLines(w http.ResponseWriter, lines <-chan api.RepairProgress) {
	control, encoder, gone := http.NewResponseController(w), json.NewEncoder(w), false
	for line := range lines {
		if !gone {
			gone = encoder.Encode(line) != nil || control.Flush() != nil
		}
	}
}

// mend returns an error only if nothing could be tried: what could not be mended is in the
// report, beside what was. A client that goes away does not end a repair that has begun.
func (s *Server) mend(r *request, options libnetwork.MendOptions) (api.RepairReport, error) {
	ctx := r.Context()
	if !options.DryRun {
		ctx = context.WithoutCancel(ctx)
	}
	found, err := s.Inspector.Mend(ctx, options)
	report := api.RepairReport{DryRun: options.DryRun, Differences: []api.Difference{}}
	for _, difference := range found {
		report.Differences = append(report.Differences, api.Difference(difference))
	}
	if err != nil && len(found) == 0 {
		return report, err
	}
	if err != nil {
		report.Errors = append(report.Errors, err.Error())
	}
	return report, nil
}

func (s *Server) metrics(r *request) error {
	if s.Metrics == nil {
		return missing("metrics")
	}
	s.Metrics.ServeHTTP(r.w, r.Request)
	return nil
}

func (s *Server) state(*request) (any, error) {
	if s.State == nil {
		return nil, missing("state")
	}
	return s.State(), nil
}

func (s *Server) goroutines(r *request) error {
	r.w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// 2 is the form of a panic, which says how long each has been waiting.
	_ = pprof.Lookup("goroutine").WriteTo(r.w, 2) // the client may have gone
	return nil
}

// bundle streams, since a bundle may be large: an error in the middle cuts it short, which
// gzip notices.
func (s *Server) bundle(r *request) error {
	if s.Dump == nil {
		return missing("bundle")
	}
	r.w.Header().Set("Content-Type", "application/gzip")
	if err := s.Dump(r.Context(), r.w); err != nil {
		s.Log.Error("write a support bundle", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

func (s *Server) openAPI(*request) (any, error) { return Document(s.Version), nil }
