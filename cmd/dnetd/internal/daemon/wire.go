package daemon

import (
	"context"
	"io"
	"net/http"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/api/server"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel"
)

// wire puts the API on top of what is behind it.
func wire(b Backend) http.Handler {
	o := b.diagnostics()
	return server.New(server.Options{
		Controller: b.Controller, Inspector: b.Inspector, Version: b.Version, Started: b.Started, Kernel: kernel.Release(),
		DefaultNetwork: b.Config.Daemon.DefaultNetwork, Lifetimes: b.Lifetimes, Log: b.Log,
		Doctor: func(ctx context.Context) ([]api.Finding, error) { return diag.Doctor(ctx, o) },
		Explain: func(ctx context.Context, from, to string, port int, protocol string) (api.Explanation, error) {
			return diag.Explain(ctx, o, from, to, port, protocol)
		},
		Dump:    func(ctx context.Context, to io.Writer) error { return diag.Dump(ctx, o, to) },
		State:   func() any { return diag.State(b.Inspector) },
		Metrics: diag.Handler(o), Health: newHealth(b).check,
	})
}

func (b Backend) diagnostics() diag.Options {
	return diag.Options{Controller: b.Controller, Inspector: b.Inspector, Version: b.Version}
}
