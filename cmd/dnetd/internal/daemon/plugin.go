package daemon

import (
	"context"
	"sync"

	"github.com/docker/libnetwork/cmd/dnetd/internal/plugin"
)

// startPlugin serves a container engine beside the daemon's own clients, if the
// configuration says so, until stop is called. An engine asks again for half a minute if
// it gets no answer, so that a restart of the daemon does not show.
func (d *daemon) startPlugin(ctx context.Context) (stop func(), err error) {
	name := d.config.Dnet.Plugin
	if name == "" {
		return func() {}, nil
	}
	p, err := plugin.Open(ctx, plugin.Setup{
		Name: name, Socket: d.options.PluginSocket, Config: d.config,
		Controller: d.backend.Controller, Inspector: d.backend.Inspector, Log: d.log,
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		if err := p.Serve(ctx, d.config.Dnet.ShutdownTimeout); err != nil {
			d.log.Error("the plugin does not answer any more; start the daemon again", "plugin", name, "error", err)
		}
	})
	return func() {
		cancel()
		group.Wait()
		if err := p.Close(); err != nil {
			d.log.Error("end the plugin", "plugin", name, "error", err)
		}
	}, nil
}
