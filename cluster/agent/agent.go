package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb"
)

// Options say how to take part.
type Options struct {
	// Node is the node's name, unique in the cluster. Required.
	Node string
	// Listen and Advertise are where this node listens, and where others find it: an IP
	// address, or one with a port. Empty is any address, or Listen.
	Listen, Advertise string
	// Keys encrypt the traffic, the first one is primary; none leaves it in the clear.
	Keys [][]byte
	// Changed is called, from one goroutine, when endpoints of other nodes on a network
	// have changed. It must not wait for the agent. Required.
	Changed func(network string)
	// Dial connects to other nodes; nil is net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Log is told what is worth knowing; nil means nobody.
	Log *slog.Logger
}

// Agent is a node's part in a cluster. Start makes one, Close ends it. It is safe for
// concurrent use.
type Agent struct {
	db      *networkdb.NetworkDB
	node    string
	changed func(string)
	log     *slog.Logger
	done    chan struct{} // closed when the goroutine has ended
	cancel  func()

	mu sync.Mutex // guards what follows
	// keys are those of the database, the primary one first.
	keys [][]byte
	// others are the endpoints of other nodes, by network and id.
	others map[string]map[string]Endpoint
	// told are this node's endpoints as the database has them.
	told map[key]string
}

// key names an entry of the table.
type key struct{ network, endpoint string }

// Start begins to take part, alone at first. Sockets are opened in the network namespace
// of the calling thread.
func Start(o Options) (*Agent, error) {
	const op = "start cluster agent"
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	config := networkdb.Config{NodeID: o.Node, Keys: o.Keys, Logger: o.Log, Dial: o.Dial}
	var err error
	if config.BindAddr, config.BindPort, err = splitAddress(o.Listen); err == nil {
		config.AdvertiseAddr, config.AdvertisePort, err = splitAddress(o.Advertise)
	}
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	db, err := networkdb.New(config)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	a := &Agent{
		db: db, node: o.Node, changed: o.Changed, log: o.Log, done: make(chan struct{}), keys: o.Keys,
		others: make(map[string]map[string]Endpoint), told: make(map[key]string),
	}
	events, cancel := db.Watch(EndpointTable, "", "")
	a.cancel = cancel
	go a.follow(events) // ends with cancel; Close waits for it
	return a, nil
}

// splitAddress reads an IP address with or without a port.
func splitAddress(text string) (address string, port int, err error) {
	if text == "" {
		return "", 0, nil
	}
	if plain, err := netip.ParseAddr(text); err == nil {
		return plain.String(), 0, nil
	}
	host, service, err := net.SplitHostPort(text)
	if err == nil && host != "" {
		_, err = netip.ParseAddr(host)
	}
	if err == nil {
		port, err = strconv.Atoi(service)
	}
	if err != nil || port < 0 || port > 65535 {
		return "", 0, cnm.E("", cnm.Invalid, fmt.Errorf("address %q: want an IP address, or one with a port", text))
	}
	return host, port, nil
}

// Join makes the node part of the cluster that the members, host or host:port, belong to.
func (a *Agent) Join(ctx context.Context, members []string) error { return a.db.Join(ctx, members) }

// Close leaves the cluster.
func (a *Agent) Close() {
	a.cancel()
	<-a.done
	a.db.Close()
}

// Attach makes this node one of those that have a network.
func (a *Agent) Attach(ctx context.Context, network string) error {
	return a.db.JoinNetwork(ctx, network)
}

// Detach takes it from them again, and its endpoints there with it.
func (a *Agent) Detach(network string) error {
	a.mu.Lock()
	maps.DeleteFunc(a.told, func(k key, _ string) bool { return k.network == network })
	a.mu.Unlock()
	return a.db.LeaveNetwork(network)
}

// Tell makes endpoints, by their ids, those of this node on a network that it is attached
// to: what others know of others is taken back. Endpoints that other nodes have under the
// same ids are an error; the rest is told all the same.
func (a *Agent) Tell(network string, endpoints map[string]Endpoint) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	for k := range a.told {
		if _, stays := endpoints[k.endpoint]; k.network != network || stays {
			continue
		}
		if err := a.db.DeleteEntry(EndpointTable, network, k.endpoint); err != nil && !errors.Is(err, cnm.NotFound) {
			errs = append(errs, err)
			continue
		}
		delete(a.told, k)
	}
	for _, id := range slices.Sorted(maps.Keys(endpoints)) {
		k, wire := key{network, id}, endpoints[id].Marshal()
		before, known := a.told[k]
		if known && before == string(wire) {
			continue
		}
		tell := a.db.CreateEntry
		if known {
			tell = a.db.UpdateEntry
		}
		if err := tell(EndpointTable, network, id, wire); err != nil {
			errs = append(errs, err)
			continue
		}
		a.told[k] = string(wire)
	}
	return errors.Join(errs...)
}

// Endpoints returns those of other nodes on a network, by id.
func (a *Agent) Endpoints(network string) map[string]Endpoint {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.others[network])
}

// Peers returns the nodes that are attached to a network, this one included.
func (a *Agent) Peers(network string) []networkdb.PeerInfo { return a.db.Peers(network) }

// Nodes returns the active nodes of the cluster, this one included.
func (a *Agent) Nodes() []networkdb.PeerInfo { return a.db.ClusterPeers() }

// Status returns a picture of the database.
func (a *Agent) Status() networkdb.Status { return a.db.Status() }

// follow keeps what other nodes tell.
func (a *Agent) follow(events <-chan networkdb.Event) {
	defer close(a.done)
	for event := range events {
		if network := a.note(event); network != "" {
			a.changed(network)
		}
	}
}

// note returns the network whose endpoints of other nodes have changed, or nothing.
func (a *Agent) note(event networkdb.Event) (network string) {
	network, _, id := event.Subject()
	var owner string
	var value []byte
	switch e := event.(type) {
	case networkdb.CreateEvent:
		owner, value = e.Owner, e.Value
	case networkdb.UpdateEvent:
		owner, value = e.Owner, e.Value
	case networkdb.DeleteEvent:
		owner = e.Owner
	}
	if owner == a.node {
		return ""
	}
	endpoint, err := Unmarshal(value)
	if err != nil {
		a.log.Warn("an endpoint of another node is passed over", "node", owner, "network", network, "endpoint", id, "error", err)
		value = nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if value == nil {
		if _, known := a.others[network][id]; !known {
			return ""
		}
		if delete(a.others[network], id); len(a.others[network]) == 0 {
			delete(a.others, network)
		}
		return network
	}
	if a.others[network] == nil {
		a.others[network] = make(map[string]Endpoint)
	}
	a.others[network][id] = endpoint
	return network
}
