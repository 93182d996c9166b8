// Package etcd is a store on the servers of etcd, version 3.4 or later.
//
// An Update is one transaction of etcd, which is committed only if nothing that it read
// has changed: each key that was read is compared by its revision, and for each prefix
// that was listed no key below it may be newer than what was read. A comparison of a
// range does not see what is missing in it. So whoever deletes also writes one key for
// the whole store, which is compared along with lists. What other programs delete below
// the prefix is not seen by lists in that way; what they write is.
//
// A commit whose answer is lost is neither repeated blindly nor given up: each one also
// writes a key of its own process, from which is read what became of it.
package etcd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// DefaultPort is the one that servers of etcd listen on for clients.
const DefaultPort = 2379

// Times of connections.
const (
	// keepAlive is how often a silent connection is probed; servers refuse more than one
	// probe in five seconds.
	keepAlive        = 6 * time.Second
	keepAliveTimeout = 2 * time.Second
	connectTimeout   = 2 * time.Second
	longestBackoff   = time.Second
)

// Options say how to talk to the servers.
type Options = remotestore.Options

// Store implements cnm.Store and cnm.Watcher. It is safe for concurrent use.
type Store struct {
	name    string // for errors
	address remotestore.Address
	options Options
	gate    remotestore.Gate
	// process names the keys of this store's commits.
	process string

	// connecting is held by who makes the client.
	connecting chan struct{}
	// committing has room for the commits under way, and so for slots.
	committing chan struct{}

	mu     sync.Mutex // guards what follows
	client *clientv3.Client
	free   []*slot
	slots  int
}

// Open returns a store. Its address is host:port/prefix, or several servers with commas
// between; the prefix, libnetwork if there is none, starts all keys. Invalid is for an
// address or options that could never work. No server is asked: what does not answer is
// Unavailable when the store is used, until it does.
func Open(address string, options Options) (*Store, error) {
	const op = "open etcd store"
	parsed, err := remotestore.ParseAddress(address, DefaultPort)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if options, err = options.Complete(); err == nil {
		err = options.CheckLogin()
	}
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return nil, cnm.E(op, cnm.Internal, err)
	}
	return &Store{
		name: fmt.Sprintf("etcd store %q", parsed), address: parsed, options: options,
		process: hex.EncodeToString(id), connecting: make(chan struct{}, 1), committing: make(chan struct{}, mostCommits),
	}, nil
}

// connect returns the client, made at the first call. Only with a password does that
// talk to a server.
func (s *Store) connect(ctx context.Context) (*clientv3.Client, error) {
	select {
	case s.connecting <- struct{}{}:
		defer func() { <-s.connecting }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client != nil {
		return client, nil
	}
	client, err := s.newClient()
	if err != nil {
		return nil, s.wrap(err)
	}
	s.mu.Lock()
	s.client = client
	s.mu.Unlock()
	s.sweep(ctx, client)
	return client, nil
}

func (s *Store) newClient() (*clientv3.Client, error) {
	scheme := "http://"
	if s.options.TLS != nil {
		scheme = "https://"
	}
	endpoints := make([]string, len(s.address.Servers))
	for i, server := range s.address.Servers {
		endpoints[i] = scheme + server
	}
	waits := backoff.DefaultConfig
	waits.BaseDelay, waits.MaxDelay = 50*time.Millisecond, longestBackoff
	return clientv3.New(clientv3.Config{
		Endpoints: endpoints, TLS: s.options.TLS.Clone(),
		Username: s.options.Username, Password: s.options.Password,
		DialTimeout: min(s.options.Share(), connectTimeout), DialKeepAliveTime: keepAlive, DialKeepAliveTimeout: keepAliveTimeout,
		DialOptions: []grpc.DialOption{grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: waits, MinConnectTimeout: min(s.options.Timeout, connectTimeout),
		}), grpc.WithChainUnaryInterceptor(failFast)},
		// Our own tries are bounded by time, and end with the cause.
		MaxUnaryRetries: 1,
		Logger:          zap.NewNop(), // what goes wrong is in the errors
	})
}

// failFast has a request fail with the cause if there is no connection; the client would
// have it wait for one until its time is over. Implements grpc.UnaryClientInterceptor.
func failFast(ctx context.Context, method string, request, reply any, conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption) error {
	return invoke(ctx, method, request, reply, conn, append(options, grpc.WaitForReady(false))...)
}

// ask sends a request to the servers, with patience.
func (s *Store) ask(ctx context.Context, request func(context.Context, *clientv3.Client) error) error {
	return s.options.Ask(ctx, s.name, func(ctx context.Context) error {
		client, err := s.connect(ctx)
		if err == nil {
			err = request(ctx, client)
		}
		err = s.wrap(err)
		s.loginAgain(client, err)
		return err
	})
}

// loginAgain drops a client that logged in and gets no answers: a server that has started
// anew knows nothing of the login, and servers before etcd 3.5 refuse the client's next
// login because of that, for as long as it lives.
func (s *Store) loginAgain(client *clientv3.Client, err error) {
	if s.options.Username == "" || client == nil || !errors.Is(err, cnm.Unavailable) {
		return
	}
	s.mu.Lock()
	latest := s.client == client
	if latest {
		s.client = nil
	}
	s.mu.Unlock()
	if latest {
		_ = client.Close() // the error would be that of its context, which ends thereby
	}
}

// root starts the keys of all entries. It is itself the key that deletions write.
func (s *Store) root() string { return s.address.Prefix + "/" }

// Close implements cnm.Store. It ends what is under way.
func (s *Store) Close() error {
	if !s.gate.Close() {
		return nil
	}
	s.mu.Lock()
	client := s.client
	s.mu.Unlock()
	if client == nil {
		return nil
	}
	s.forgetSlots(client)
	if err := client.Close(); err != nil && !errors.Is(err, context.Canceled) {
		return cnm.E("close "+s.name, cnm.Internal, err)
	}
	return nil
}

// View implements cnm.Store: everything is read at one revision. If the servers forget
// that revision while fn runs, reading on is a Conflict.
func (s *Store) View(ctx context.Context, fn func(cnm.Tx) error) error {
	ctx, leave, err := s.gate.Enter(ctx, s.name)
	if err != nil {
		return cnm.Wrap("read", err)
	}
	defer leave()
	r := &reader{store: s, ctx: ctx}
	if err := r.pin(); err != nil {
		return cnm.Wrap("read", err)
	}
	return remotestore.NewTransaction(r, false).Run(fn)
}

// Update implements cnm.Store. It is made again while others change what it read; how
// long is for ctx to say. An error of kind Unavailable may say that it is not known
// whether it was committed: then the servers went silent for longer than
// Options.Timeout right after it was sent.
func (s *Store) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	ctx, leave, err := s.gate.Enter(ctx, s.name)
	if err != nil {
		return cnm.Wrap("write", err)
	}
	defer leave()
	return s.options.Race(ctx, s.name, func(ctx context.Context) error {
		r := &reader{store: s, ctx: ctx}
		t := remotestore.NewTransaction(r, true)
		if err := t.Run(fn); err != nil {
			if errors.Is(err, errForgotten) {
				return remotestore.ErrLost
			}
			return err
		}
		if ctx.Err() != nil {
			return remotestore.Interrupted(ctx, s.name)
		}
		return cnm.Wrap("write", s.commit(ctx, r, t.Writes()))
	})
}

// errForgotten says that the servers no longer have the revision that is being read.
// It is not to be changed.
var errForgotten = errors.New("the servers have forgotten the state that was being read (compaction); try again")

// reader reads at the revision of its first request.
type reader struct {
	store    *Store
	ctx      context.Context
	revision int64            // 0 before the first request
	keys     map[string]int64 // what was read, with the revision of its last change, 0 if it is missing
	prefixes []string         // what was listed
}

// pin chooses the revision: the latest.
func (r *reader) pin() error {
	_, err := r.get(r.store.root(), clientv3.WithKeysOnly())
	return err
}

func (r *reader) get(key string, options ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	var response *clientv3.GetResponse
	err := r.store.ask(r.ctx, func(ctx context.Context, client *clientv3.Client) (err error) {
		response, err = client.Get(ctx, key, append(options, clientv3.WithRev(r.revision))...)
		return err
	})
	if err != nil {
		return nil, cnm.Wrap("read", err)
	}
	if r.revision == 0 {
		r.revision = response.Header.Revision
	}
	return response, nil
}

// Get implements remotestore.Reader.
func (r *reader) Get(key string) ([]byte, bool, error) {
	response, err := r.get(r.store.root() + key)
	if err != nil {
		return nil, false, err
	}
	if r.keys == nil {
		r.keys = make(map[string]int64)
	}
	if len(response.Kvs) == 0 {
		r.keys[key] = 0
		return nil, false, nil
	}
	entry := response.Kvs[0]
	r.keys[key] = entry.ModRevision
	return append([]byte{}, entry.Value...), true, nil
}

// List implements remotestore.Reader.
func (r *reader) List(prefix string) ([]cnm.KeyValue, error) {
	root := r.store.root()
	response, err := r.get(root+prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, err
	}
	r.prefixes = append(r.prefixes, prefix)
	out := make([]cnm.KeyValue, 0, len(response.Kvs))
	for _, entry := range response.Kvs {
		if key := strings.TrimPrefix(string(entry.Key), root); key != "" {
			out = append(out, cnm.KeyValue{Key: key, Value: append([]byte{}, entry.Value...)})
		}
	}
	return out, nil
}
