package daemon

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/diag"
)

// wire puts the API on top of what is behind it.
func wire(b Backend) http.Handler {
	o := b.diagnostics()
	return server.New(server.Options{
		Controller: b.Controller, Inspector: b.Inspector, Version: b.Version, Started: b.Started,
		DefaultNetwork: b.Config.Daemon.DefaultNetwork, Lifetimes: b.Lifetimes, Log: b.Log,
		Doctor: func(ctx context.Context) ([]api.Finding, error) { return diag.Doctor(ctx, o) },
		Explain: func(ctx context.Context, from, to string, port int, protocol string) (api.Explanation, error) {
			return diag.Explain(ctx, o, from, to, port, protocol)
		},
		Dump:    func(ctx context.Context, to io.Writer) error { return diag.Dump(ctx, o, to) },
		State:   func() any { return diag.State(b.Inspector) },
		Metrics: diag.Handler(o), Health: b.health,
	})
}

func (b Backend) diagnostics() diag.Options {
	return diag.Options{Controller: b.Controller, Inspector: b.Inspector, Version: b.Version}
}

// health tries what the daemon cannot do without.
func (b Backend) health(context.Context) api.Health {
	var problems []string
	for _, folder := range []string{b.Config.Daemon.DataDir, b.Config.Daemon.ExecRoot} {
		if err := writable(folder); err != nil {
			problems = append(problems, fmt.Sprintf("folder %q cannot be written to: %v", folder, err))
		}
	}
	if b.Inspector.Statistics().Firewall == "" {
		problems = append(problems, "the packet filter cannot be told: its back end does not answer")
	}
	return api.Health{Healthy: len(problems) == 0, Problems: problems}
}

func writable(folder string) error {
	file, err := os.CreateTemp(folder, ".health")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it was made just now
	if _, err := file.Write([]byte("health")); err != nil {
		_ = file.Close()
		return err
	}
	return file.Close()
}
