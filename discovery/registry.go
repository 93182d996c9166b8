package discovery

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// Defaults, as in the first releases: a sign of life each 20 seconds, and three of them
// until a node is gone.
const (
	DefaultHeartbeat = 20 * time.Second
	DefaultTTL       = 3 * DefaultHeartbeat
)

// Bounds of Options, and of what other nodes say.
const (
	leastHeartbeat = 50 * time.Millisecond
	leastTTL       = 100 * time.Millisecond
	longestTTL     = time.Hour
)

// Options say how often a node gives a sign of life.
type Options struct {
	// Heartbeat is the time between two signs of life, and between two looks at those of
	// others; zero means a third of TTL.
	Heartbeat time.Duration
	// TTL is how long a node is taken for alive after a sign; at least twice Heartbeat.
	// Zero means three times Heartbeat, and DefaultTTL if that is zero too.
	TTL time.Duration
	// Log is told when a sign of life could not be given; nil means nobody.
	Log *slog.Logger
}

func (o Options) complete() (Options, error) {
	switch {
	case o.TTL == 0 && o.Heartbeat == 0:
		o.TTL, o.Heartbeat = DefaultTTL, DefaultHeartbeat
	case o.TTL == 0:
		o.TTL = 3 * o.Heartbeat
	case o.Heartbeat == 0:
		o.Heartbeat = o.TTL / 3
	}
	if o.Heartbeat < leastHeartbeat || o.TTL < 2*o.Heartbeat || o.TTL > longestTTL {
		return o, cnm.E("", cnm.Invalid, fmt.Errorf("heartbeat %s with time to live %s: the first must be at least %s and at most half of the second, that at most %s",
			o.Heartbeat, o.TTL, leastHeartbeat, longestTTL))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o, nil
}

// Registry is the nodes in a store. It implements Watcher, and is safe for concurrent use.
type Registry struct {
	store   cnm.Store
	options Options

	mu     sync.Mutex // guards what follows
	closed bool
	beats  map[Node]*heart
}

// heart gives the signs of life of one node.
type heart struct {
	session string
	stop    context.CancelFunc
	done    chan struct{} // closed when the goroutine has ended
}

// New returns the registry in a store, which it does not close. If the store is a
// cnm.Watcher, joins and leaves are told at once; otherwise at the next heartbeat.
func New(store cnm.Store, options Options) (*Registry, error) {
	options, err := options.complete()
	if err != nil {
		return nil, cnm.Wrap("discovery of nodes", err)
	}
	return &Registry{store: store, options: options, beats: make(map[Node]*heart)}, nil
}

// Register makes a node known, and keeps it known until Close, whatever becomes of the
// store meanwhile. Exists is for a node that was registered here before.
func (r *Registry) Register(ctx context.Context, node Node) error {
	op := fmt.Sprintf("register node %q", node)
	if parsed, err := ParseNode(node.String()); err != nil || parsed != node {
		return cnm.E(op, cnm.Invalid, errors.New("it is not a host or host:port that others could use"))
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return cnm.E(op, cnm.Internal, err)
	}
	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	h := &heart{session: hex.EncodeToString(id), stop: stop, done: make(chan struct{})}
	if err := r.add(node, h); err != nil {
		stop()
		return cnm.Wrap(op, err)
	}
	err := r.beat(ctx, node, h, 0)
	if err != nil {
		stop()
		r.mu.Lock()
		delete(r.beats, node)
		r.mu.Unlock()
		close(h.done)
		return cnm.Wrap(op, err)
	}
	go r.live(beating, node, h) // ends with stop; Close waits for it
	return nil
}

func (r *Registry) add(node Node, h *heart) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return cnm.E("", cnm.Unavailable, errors.New("discovery is closed"))
	}
	if r.beats[node] != nil {
		return cnm.E("", cnm.Exists, errors.New("is registered already"))
	}
	r.beats[node] = h
	return nil
}

// beat gives a sign of life, and makes the node known again if it was taken for dead.
func (r *Registry) beat(ctx context.Context, node Node, h *heart, count uint64) error {
	record, err := json.Marshal(nodeRecord{Schema: schemaVersion, Host: node.Host, Port: node.Port})
	if err != nil {
		return cnm.E("", cnm.Internal, err)
	}
	sign, err := json.Marshal(beatRecord{Schema: schemaVersion, Session: h.session, Count: count, TTL: r.options.TTL.Milliseconds()})
	if err != nil {
		return cnm.E("", cnm.Internal, err)
	}
	return r.store.Update(ctx, func(tx cnm.Tx) error {
		known, err := tx.Get(nodeKeys + node.String())
		if err != nil && !errors.Is(err, cnm.NotFound) {
			return err
		}
		if string(known) != string(record) {
			if err := tx.Put(nodeKeys+node.String(), record); err != nil {
				return err
			}
		}
		return tx.Put(beatKeys+node.String(), sign)
	})
}

// live gives signs of life until ctx is done.
func (r *Registry) live(ctx context.Context, node Node, h *heart) {
	defer close(h.done)
	ticker := time.NewTicker(r.options.Heartbeat)
	defer ticker.Stop()
	failing := false
	for count := uint64(1); ; count++ {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		err := r.beat(ctx, node, h, count)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			r.options.Log.Warn("discovery: no sign of life could be given; others will take this node for gone", "node", node, "error", err)
		}
		failing = err != nil
	}
}

// Close ends the signs of life, and takes the nodes that were registered here out of the
// store. What cannot be taken out is gone for others when its time to live is over.
func (r *Registry) Close(ctx context.Context) error {
	r.mu.Lock()
	beats := r.beats
	r.beats, r.closed = nil, true
	r.mu.Unlock()
	var failures []error
	for node, h := range beats {
		h.stop()
		<-h.done
		err := r.store.Update(ctx, func(tx cnm.Tx) error {
			sign, err := tx.Get(beatKeys + node.String())
			if errors.Is(err, cnm.NotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			var record beatRecord
			_ = json.Unmarshal(sign, &record) // one that cannot be read is not ours
			if record.Session != h.session {
				return nil // the node has registered elsewhere since
			}
			return remove(tx, node.String())
		})
		failures = append(failures, cnm.Wrap(fmt.Sprintf("deregister node %q", node), err))
	}
	return errors.Join(failures...)
}

func remove(tx cnm.Tx, name string) error {
	if err := tx.Delete(nodeKeys + name); err != nil {
		return err
	}
	return tx.Delete(beatKeys + name)
}

// bury takes nodes out of the store that have given no sign of life meanwhile. That it
// fails is no harm: others do it too, and later ones.
func (r *Registry) bury(ctx context.Context, dead []string, sights map[string]sight) {
	for _, name := range dead {
		err := r.store.Update(ctx, func(tx cnm.Tx) error {
			sign, err := tx.Get(beatKeys + name)
			if err != nil && !errors.Is(err, cnm.NotFound) {
				return err
			}
			if string(sign) != sights[name].beat {
				return nil
			}
			return remove(tx, name)
		})
		if err != nil {
			r.options.Log.Info("discovery: a node that is gone stays in the store", "node", name, "error", err)
			return
		}
	}
}

// Watch implements Watcher.
func (r *Registry) Watch(ctx context.Context) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var watching sync.WaitGroup
		defer watching.Wait()
		defer cancel()
		changed := make(chan struct{}, 1)
		if watcher, ok := r.store.(cnm.Watcher); ok {
			watching.Go(func() { tell(ctx, watcher, changed) })
		}
		ticker := time.NewTicker(r.options.Heartbeat)
		defer ticker.Stop()
		judge := &roster{}
		var told []Node
		for first := true; ; {
			nodes, err := r.look(ctx, judge)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				if !yield(Change{Nodes: slices.Clone(told)}, cnm.Wrap("watch nodes", err)) {
					return
				}
			case first || !slices.Equal(told, nodes):
				change := Change{Nodes: slices.Clone(nodes), Joined: difference(nodes, told), Left: difference(told, nodes)}
				told, first = nodes, false
				if !yield(change, nil) {
					return
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			case <-ticker.C:
			}
		}
	}
}

// tell tells that nodes came or went.
func tell(ctx context.Context, watcher cnm.Watcher, changed chan<- struct{}) {
	for _, err := range watcher.Watch(ctx, nodeKeys) {
		if err != nil {
			continue // who looks gets an error too
		}
		select {
		case changed <- struct{}{}:
		default: // one is under way
		}
	}
}

func (r *Registry) look(ctx context.Context, judge *roster) ([]Node, error) {
	var s snapshot
	err := r.store.View(ctx, func(tx cnm.Tx) (err error) {
		s, err = read(tx)
		return err
	})
	if err != nil {
		judge.missed()
		return nil, err
	}
	alive, dead := judge.look(time.Now(), s)
	r.bury(ctx, dead, judge.sights)
	return alive, nil
}
