package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/process"
)

// connectionKey finds the connection of a request in its context.
type connectionKey struct{}

// withConnection is http.Server.ConnContext.
func withConnection(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// engine is the process that asks.
type engine struct {
	// root is its root folder, as this process sees it.
	root    string
	started time.Time
}

// ticks a second are what the kernel counts for programs (USER_HZ, time(7)).
const ticks = 100

// engineOf tells who asks. It is Unsupported where the connection does not tell, as if the
// engine is in a PID namespace outside of this process's.
func engineOf(ctx context.Context) (engine, error) {
	unknown := cnm.E("look for the engine", cnm.Unsupported, errors.New("the connection does not tell its process"))
	conn, ok := ctx.Value(connectionKey{}).(*net.UnixConn)
	if !ok {
		return engine{}, unknown
	}
	p, err := process.Peer(conn)
	if err != nil {
		return engine{}, err
	}
	out := engine{root: filepath.Join("/proc", strconv.Itoa(p.PID), "root")}
	if err := p.Close(); err != nil {
		return engine{}, err
	}
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return engine{}, unknown
	}
	first, _, _ := strings.Cut(string(text), " ")
	uptime, err := strconv.ParseFloat(first, 64)
	if err != nil {
		return engine{}, unknown
	}
	age := uptime - float64(p.Start)/ticks
	out.started = time.Now().Add(-time.Duration(age * float64(time.Second)))
	return out, nil
}

// alive reports whether the namespace is there for the engine. Whoever cannot look there
// must take it for alive.
func (e engine) alive(key string) bool {
	if key == "" {
		return true
	}
	// Its own links count: in a managed plugin, /var/run is not the engine's.
	alive, err := netns.AliveIn(e.root, key)
	return alive || err != nil
}

// sweep removes what an engine that has died has left, and the one that asks does not know
// of: endpoints that were made before it began, and whose container's namespace is gone.
// An engine that is killed deletes them from its own records when it starts again, and
// tells nobody; their addresses and ports are free to it.
func (s *Server) sweep(ctx context.Context) {
	e, err := engineOf(ctx)
	if err != nil {
		s.Log.Debug("what a former engine has left stays", "plugin", s.Name, "error", err)
		return
	}
	s.sweepFor(ctx, e)
}

// sweepFor is sweep for a certain engine.
func (s *Server) sweepFor(ctx context.Context, e engine) {
	links, err := s.hostLinks()
	if err != nil {
		s.Log.Error("look for what a former engine has left", "plugin", s.Name, "error", err)
		return
	}
	records := s.Inspector.Records()
	sandboxes := make(map[string]*cnm.Sandbox)
	for _, rec := range records.Sandboxes {
		sandboxes[rec.ID] = rec
	}
	for _, rec := range records.Endpoints {
		if rec.Labels[LabelPlugin] != s.Name || !rec.Created.Before(e.started) || connected(rec, links) {
			continue
		}
		if sb := sandboxes[rec.SandboxID]; sb != nil {
			key, _ := sb.Labels[LabelKey].(string)
			if !sb.Created.Before(e.started) || e.alive(key) {
				continue
			}
		}
		if err := s.abandon(ctx, rec); err != nil {
			s.Log.Error("remove what a former engine has left", "plugin", s.Name, "endpoint", rec.Name, "error", err)
			continue
		}
		s.Log.Info("removed what a former engine has left", "plugin", s.Name, "endpoint", rec.Name, "network", rec.NetworkID)
	}
}

// sweeping does something, and once more after a sweep if it wants what is taken: the
// namespace of a container may take a moment to go.
func (s *Server) sweeping(ctx context.Context, do func() error) error {
	err := do()
	if !errors.Is(err, cnm.Exists) {
		return err
	}
	s.sweep(ctx)
	return do()
}

// hostLinks returns the names of the host's links.
func (s *Server) hostLinks() (map[string]bool, error) {
	host, err := netns.Open(s.HostNamespace)
	if err != nil {
		return nil, err
	}
	names := make(map[string]bool)
	err = host.Do(func() error {
		all, err := net.Interfaces()
		for _, one := range all {
			names[one.Name] = true
		}
		return err
	})
	return names, errors.Join(err, host.Close())
}

// connected reports whether the host's end of an endpoint's link is there: it goes with
// the other one, and that with the container's namespace. Of the end that waits to be taken
// nothing follows.
func connected(rec *cnm.Endpoint, links map[string]bool) bool {
	for _, part := range rec.Parts {
		for _, link := range part.Links {
			if part.Namespace == "" && links[link.Name] && !links[rec.Interface] {
				return true
			}
		}
	}
	return false
}

// abandon deletes an endpoint, and gives its addresses back to the address manager, which
// nobody else will do.
func (s *Server) abandon(ctx context.Context, rec *cnm.Endpoint) error {
	release, err := s.locks.acquire(ctx, "endpoint "+rec.Name)
	if err != nil {
		return err
	}
	defer release()
	ctx = context.WithoutCancel(ctx)
	n, err := s.network(rec.NetworkID)
	if err != nil {
		return ignoreNotFound(err)
	}
	ep, err := n.EndpointByID(rec.ID)
	if err != nil {
		return ignoreNotFound(err)
	}
	if err := s.removeEndpoint(ctx, ep); err != nil {
		return err
	}
	return s.releaseLeases(ctx, n, rec)
}

// releaseLeases gives back what the endpoint had, if it came from here: the pool is the
// network's subnet.
func (s *Server) releaseLeases(ctx context.Context, n libnetwork.Network, rec *cnm.Endpoint) error {
	if s.Leases == nil {
		return nil
	}
	pools, err := s.Leases.List(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, pool := range pools {
		for _, has := range []struct{ address, pool string }{{rec.IPv4.Addr().String(), rec.Pool4}, {rec.IPv6.Addr().String(), rec.Pool6}} {
			if !hasSubnet(n, has.pool, pool.Prefix.String()) {
				continue
			}
			for address, granted := range pool.Addresses {
				// Granted afterwards, it is another's: the engine has given it back itself.
				if address.String() == has.address && !granted.Granted.After(rec.Created) {
					errs = append(errs, ignoreNotFound(s.Leases.ReleaseAddress(ctx, pool.ID, address)))
				}
			}
		}
	}
	return errors.Join(errs...)
}

// hasSubnet reports whether the network's pool of that id is the subnet.
func hasSubnet(n libnetwork.Network, poolID, subnet string) bool {
	ipv4, ipv6 := n.Info().IpamInfo()
	for _, info := range append(ipv4, ipv6...) {
		if info.PoolID == poolID && info.Pool != nil && fmt.Sprint(info.Pool) == subnet {
			return true
		}
	}
	return false
}
