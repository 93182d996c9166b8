// Package plugin runs the networks of this machine as a plugin of a container engine: by
// itself, or beside what else a daemon does with its controller.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore/bolt"
	"github.com/docker/libnetwork/ipams/builtin"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/plugin/lease"
	"github.com/docker/libnetwork/plugin/manage"
	"github.com/docker/libnetwork/plugin/server"
)

// Setup says what a plugin is made of.
type Setup struct {
	// Name is what users of the engine call it.
	Name string
	// Socket is where it answers; empty means where engines look for that name.
	Socket string
	// Config is that of the controller. Its data dir has the file of the addresses that
	// are managed for the engine, too.
	Config     *config.Config
	Controller libnetwork.NetworkController
	Inspector  libnetwork.Inspector
	Log        *slog.Logger
}

// Plugin answers an engine. Open makes one.
type Plugin struct {
	setup    Setup
	store    cnm.Store
	listener net.Listener
	handler  *server.Server
}

// Open opens the book of addresses and the socket. No request is answered before Serve.
func Open(ctx context.Context, s Setup) (*Plugin, error) {
	if err := manage.CheckName(s.Name); err != nil {
		return nil, err
	}
	if s.Socket == "" {
		s.Socket = manage.SocketPath(s.Name)
	}
	p := &Plugin{setup: s}
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(cnm.Wrap(fmt.Sprintf("plugin %q", s.Name), err), p.Close())
	}
	return p, nil
}

func (p *Plugin) open(ctx context.Context) error {
	s := p.setup
	pools, err := pools(s.Config, s.Controller.ID())
	if err != nil {
		return err
	}
	// A store in a nil pointer would be none.
	store, err := bolt.Open(filepath.Join(s.Config.Daemon.DataDir, "leases-"+s.Name+".db"), bolt.Options{})
	if err != nil {
		return err
	}
	p.store = store
	book, err := lease.Open(ctx, store, lease.Options{Pools: pools, Avoid: p.avoid})
	if err != nil {
		return err
	}
	p.handler, err = server.New(server.Options{
		Name: s.Name, Controller: s.Controller, Inspector: s.Inspector, Leases: book, Log: s.Log,
		HostNamespace: s.Config.Daemon.HostNamespace,
	})
	if err != nil {
		return err
	}
	p.listener, err = server.Listen(s.Socket)
	return err
}

// pools are those of the controller: only one of the two gives a subnet to a network.
func pools(cfg *config.Config, id string) (builtin.Config, error) {
	pools, never, err := cfg.Daemon.Pools()
	out := builtin.Config{ULA: builtin.ULAFor(id), NeverUse: never}
	for _, pool := range pools {
		out.LocalPools = append(out.LocalPools, builtin.PoolBase(pool))
	}
	return out, err
}

// avoid returns what the host reaches already, and the subnets of all networks, also those
// that the host has no part in.
func (p *Plugin) avoid(ctx context.Context) ([]netip.Prefix, error) {
	host, err := kernel.Open(kernel.Options{HostNamespace: p.setup.Config.Daemon.HostNamespace, Instance: "plugin"})
	if err != nil {
		return nil, err
	}
	prefixes, err := host.Container().Prefixes(ctx, "")
	if err = errors.Join(err, host.Close()); err != nil {
		return nil, err
	}
	for _, n := range p.setup.Inspector.Records().Networks {
		for _, subnet := range slices.Concat(n.Subnets4, n.Subnets6) {
			prefixes = append(prefixes, subnet.Pool.Prefix)
		}
	}
	return prefixes, nil
}

// Serve answers until ctx is done, and then gives requests under way the time to end.
func (p *Plugin) Serve(ctx context.Context, grace time.Duration) error {
	p.setup.Log.Info("serving a container engine", "plugin", p.setup.Name, "at", "unix://"+p.setup.Socket)
	return server.Serve(ctx, p.listener, p.handler, grace, p.setup.Log)
}

// Close gives the socket and the book back, after Serve has returned.
func (p *Plugin) Close() error {
	var errs []error
	if p.listener != nil {
		if err := p.listener.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if p.store != nil {
		errs = append(errs, p.store.Close())
	}
	return errors.Join(errs...)
}
