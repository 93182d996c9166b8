package libnetwork

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/portmap"
	"github.com/docker/libnetwork/resolver"
	"github.com/docker/libnetwork/types"
)

// sandbox is the one implementation of Sandbox. Its record is immutable.
type sandbox struct {
	c    *controller
	lock opLock
	// gateway is held while the default gateway network is connected or disconnected.
	gateway opLock
	record  atomic.Pointer[cnm.Sandbox]
	deleted atomic.Bool
	// unrecorded says that the first join is to record the sandbox.
	unrecorded atomic.Bool

	endpoints map[string]*endpoint // by id; guarded by controller.mu
	// ports are the host's ports that are held for the sandbox, or nil; whoever holds
	// lock may change them.
	ports *portmap.Reservation
	// server is the embedded DNS server, or nil; whoever holds lock may change it.
	server atomic.Pointer[resolver.Server]
	// sight is what the server answers from, and upstreams whom it asks.
	sight     atomic.Pointer[sight]
	upstreams atomic.Pointer[[]resolver.Upstream]
}

func (c *controller) newSandbox(record *cnm.Sandbox) *sandbox {
	sb := &sandbox{c: c, lock: newOpLock(), gateway: newOpLock(), endpoints: make(map[string]*endpoint)}
	sb.record.Store(record)
	return sb
}

func (sb *sandbox) ID() string { return sb.record.Load().ID }

func (sb *sandbox) ContainerID() string { return sb.record.Load().ContainerID }

func (sb *sandbox) Key() string {
	rec := sb.record.Load()
	if rec.Host {
		return sb.c.host.Namespaces().HostPath()
	}
	return rec.Key
}

// subject is how errors name the sandbox.
func (sb *sandbox) subject() string { return quote("sandbox of container", sb.ContainerID()) }

func (sb *sandbox) Labels() map[string]interface{} { return maps.Clone(sb.record.Load().Labels) }

// members returns the endpoints in the sandbox, in no particular order.
func (sb *sandbox) members() []*endpoint {
	sb.c.mu.RLock()
	defer sb.c.mu.RUnlock()
	return slices.Collect(maps.Values(sb.endpoints))
}

func (sb *sandbox) Endpoints() []Endpoint {
	members := sb.members()
	out := make([]Endpoint, 0, len(members))
	for _, rec := range byGatewayRank(recordsOf(members), sb.c.networkName) {
		i := slices.IndexFunc(members, func(ep *endpoint) bool { return ep.ID() == rec.ID })
		out = append(out, members[i])
	}
	return out
}

func (sb *sandbox) Statistics() (map[string]*types.InterfaceStatistics, error) {
	rec := sb.record.Load()
	if !rec.Own() || !rec.Ready {
		return map[string]*types.InterfaceStatistics{}, nil
	}
	var links []string
	for _, ep := range sb.members() {
		if name := ep.record.Load().Interface; name != "" {
			links = append(links, name)
		}
	}
	counters, err := sb.c.host.Container().Statistics(context.Background(), rec.Key, links)
	if err != nil {
		return nil, operationError("statistics of "+sb.subject(), sb.orGone(err))
	}
	out := make(map[string]*types.InterfaceStatistics, len(counters))
	for name, s := range counters {
		out[name] = &types.InterfaceStatistics{
			RxBytes: s.RxBytes, RxPackets: s.RxPackets, RxErrors: s.RxErrors, RxDropped: s.RxDropped,
			TxBytes: s.TxBytes, TxPackets: s.TxPackets, TxErrors: s.TxErrors, TxDropped: s.TxDropped,
		}
	}
	return out, nil
}

// deletionTime is how long a reader that misses the namespace waits for a deletion that is
// under way: longer than any takes on a machine that is well.
const deletionTime = 5 * time.Second

// orGone returns NotFound in place of an error that was met because the sandbox is being
// deleted: its namespace goes first, and whoever holds the lock has not told yet.
func (sb *sandbox) orGone(err error) error {
	ctx, cancel := context.WithTimeout(context.Background(), deletionTime)
	defer cancel()
	release, locked := sb.lock.acquire(ctx, sb.subject())
	if locked != nil {
		return err
	}
	defer release()
	if sb.deleted.Load() {
		return errSandboxGone()
	}
	return err
}

func errSandboxGone() error {
	return cnm.E("", cnm.NotFound, errors.New("the sandbox does not exist any more"))
}

func (sb *sandbox) ResolverStatistics() resolver.Statistics {
	if server := sb.server.Load(); server != nil {
		return server.Statistics()
	}
	return resolver.Statistics{}
}

func (sb *sandbox) ResolveService(name string) ([]*net.SRV, []net.IP) {
	view := sb.look()
	var services []*net.SRV
	var addresses []net.IP
	for _, target := range view.LookupService(name) {
		services = append(services, &net.SRV{Target: target.Name, Port: target.Port})
		known, _ := view.Lookup(target.Name)
		for _, address := range known {
			addresses = append(addresses, address.AsSlice())
		}
	}
	return services, addresses
}

func (sb *sandbox) EnableService() error { return nil }

func (sb *sandbox) DisableService() error { return nil }

func (sb *sandbox) SetKey(key string) error { return sb.SetKeyContext(context.Background(), key) }

func (sb *sandbox) Delete() error { return sb.DeleteContext(context.Background()) }
