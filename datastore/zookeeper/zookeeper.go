// Package zookeeper is a store on the servers of ZooKeeper, version 3.4 or later.
//
// The node of the prefix is written by each commit, and each key is a node right below
// it, since one transaction of ZooKeeper can check and write those but cannot make the
// folders that keys with slashes would need. Updates of all processes are committed one
// after the other: see package versioned, which also tells how little is read. Other
// programs must not write below the prefix. One Update writes no more than ZooKeeper
// takes as one message, some 900 KiB.
package zookeeper

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
	"github.com/docker/libnetwork/internal/versioned"
)

// DefaultPort is the one that ZooKeeper listens on for clients.
const DefaultPort = 2181

// Bounds.
const (
	// mostBytes is what one commit may hold: servers take messages of 1 MiB
	// (jute.maxbuffer), and the client has as much.
	mostBytes = 900 << 10
	// mostWrites keeps the nodes' names within that.
	mostWrites = 1000
	// together is how many reads are under way at once.
	together = 32
	// largestMessage is what a server may send: the names of all nodes come as one.
	largestMessage = 64 << 20
)

// Options say how to talk to the servers. A user name and a password log in by ZooKeeper's
// scheme digest; what is made then is for that user only.
type Options = remotestore.Options

// Open returns a store, which is a cnm.Watcher too. Its address is host:port/prefix, or
// several servers with commas between; the prefix, libnetwork if there is none, is the
// path of the node below which everything is. Invalid is for an address or options that
// could never work. No server is asked: what does not answer is Unavailable when the
// store is used, until it does.
func Open(address string, options Options) (*versioned.Store, error) {
	const op = "open zookeeper store"
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
	if first, _, _ := strings.Cut(parsed.Prefix, "/"); first == "zookeeper" {
		return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("prefix %q: is ZooKeeper's own; choose another", parsed.Prefix))
	}
	s := &server{
		name: fmt.Sprintf("zookeeper store %q", parsed), root: "/" + parsed.Prefix, servers: parsed.Servers, options: options,
		acl: zk.WorldACL(zk.PermAll),
	}
	if options.Username != "" {
		s.acl = zk.DigestACL(zk.PermAll, options.Username, options.Password)
	}
	return versioned.New(s.name, options, s), nil
}

// server implements versioned.Server.
type server struct {
	name    string
	root    string // the node of the prefix
	servers []string
	options Options
	acl     []zk.ACL
	calls   sync.WaitGroup

	mu      sync.Mutex // guards what follows
	session *session
}

// call runs a request, which the client would not end with ctx. One that is given up goes
// on until the client sees that the connection is gone, and Close waits for it.
func call[T any](ctx context.Context, s *server, request func(*zk.Conn) (T, error)) (T, error) {
	var none T
	conn, err := s.connection(ctx)
	if err != nil {
		return none, err
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	s.calls.Go(func() {
		value, err := request(conn)
		done <- result{value, err}
	})
	select {
	case r := <-done:
		return r.value, s.wrap(r.err)
	case <-ctx.Done():
		return none, cnm.E(s.name, cnm.Unavailable, errors.New("no answer; check that its servers run and can be reached"))
	}
}

// wrap classifies what the client returns, save what its callers look for.
func (s *server) wrap(err error) error {
	switch {
	case err == nil, errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrNodeExists), errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNotEmpty):
		return err
	case errors.Is(err, zk.ErrNoAuth), errors.Is(err, zk.ErrAuthFailed), errors.Is(err, zk.ErrInvalidACL):
		return cnm.E(s.name, cnm.Forbidden, fmt.Errorf("%w; check the user name and the password", err))
	case errors.Is(err, zk.ErrBadArguments), errors.Is(err, zk.ErrInvalidPath), errors.Is(err, zk.ErrAPIError), errors.Is(err, zk.ErrShortBuffer):
		return cnm.E(s.name, cnm.Internal, err)
	}
	// The rest is about connections and sessions, and about servers that have no leader.
	return cnm.E(s.name, cnm.Unavailable, err)
}

func (s *server) node(key string) string { return s.root + "/" + remotestore.EscapeKey(key, "") }

// Head implements versioned.Server. Servers may be behind until they are told not to be.
func (s *server) Head(ctx context.Context) (uint64, []byte, error) {
	type found struct {
		version uint64
		value   []byte
	}
	f, err := call(ctx, s, func(conn *zk.Conn) (found, error) {
		if _, err := conn.Sync(s.root); err != nil {
			return found{}, err
		}
		value, stat, err := conn.Get(s.root)
		if errors.Is(err, zk.ErrNoNode) {
			return found{}, nil
		}
		if err != nil {
			return found{}, err
		}
		return found{uint64(stat.Version) + 1, value}, nil
	})
	return f.version, f.value, err
}

// Load implements versioned.Server.
func (s *server) Load(ctx context.Context) (map[string][]byte, error) {
	names, err := call(ctx, s, func(conn *zk.Conn) ([]string, error) {
		names, _, err := conn.Children(s.root)
		if errors.Is(err, zk.ErrNoNode) {
			return nil, nil
		}
		return names, err
	})
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, name := range names {
		if key, ok := remotestore.UnescapeKey(name); ok {
			keys = append(keys, key)
		}
	}
	return s.Fetch(ctx, keys)
}

// Fetch implements versioned.Server.
func (s *server) Fetch(ctx context.Context, keys []string) (map[string][]byte, error) {
	return call(ctx, s, func(conn *zk.Conn) (map[string][]byte, error) {
		var mu sync.Mutex // guards what follows
		out := make(map[string][]byte, len(keys))
		var failure error
		var group sync.WaitGroup
		next := make(chan string)
		for range min(together, len(keys)) {
			group.Go(func() {
				for key := range next {
					value, _, err := conn.Get(s.node(key))
					mu.Lock()
					switch {
					case err == nil:
						out[key] = append([]byte{}, value...)
					case !errors.Is(err, zk.ErrNoNode):
						failure = err
					}
					mu.Unlock()
				}
			})
		}
		for _, key := range keys {
			next <- key
		}
		close(next)
		group.Wait()
		return out, failure
	})
}

// Commit implements versioned.Server.
func (s *server) Commit(ctx context.Context, version uint64, head []byte, writes []remotestore.Write) (uint64, error) {
	size := len(head)
	for _, w := range writes {
		size += len(w.Key) + len(w.Value)
	}
	if len(writes) > mostWrites || size > mostBytes {
		return 0, cnm.E(s.name, cnm.Exhausted, fmt.Errorf("one transaction cannot write %d keys and %d bytes: at most %d and %d; write them in several",
			len(writes), size, mostWrites, mostBytes))
	}
	if version == 0 {
		if err := s.makeRoot(ctx); err != nil {
			return 0, err
		}
		version = 1 // of a root that was just made
	}
	return call(ctx, s, func(conn *zk.Conn) (uint64, error) {
		operations := []any{&zk.SetDataRequest{Path: s.root, Data: head, Version: int32(version - 1)}}
		for _, w := range writes {
			needed, err := s.operation(conn, w)
			if err != nil {
				return 0, err
			}
			operations = append(operations, needed...)
		}
		results, err := conn.Multi(operations...)
		switch {
		case errors.Is(err, zk.ErrBadVersion), errors.Is(err, zk.ErrNoNode), errors.Is(err, zk.ErrNodeExists):
			// Whether each node exists was looked at after the head; if that has changed
			// somebody else committed.
			return 0, remotestore.ErrLost
		case err != nil:
			return 0, err
		case len(results) == 0 || results[0].Stat == nil:
			return 0, zk.ErrAPIError
		}
		return uint64(results[0].Stat.Version) + 1, nil
	})
}

// operation returns what makes a write, which depends on whether the node exists.
func (s *server) operation(conn *zk.Conn, w remotestore.Write) ([]any, error) {
	path := s.node(w.Key)
	exists, _, err := conn.Exists(path)
	switch {
	case err != nil:
		return nil, err
	case w.Delete && !exists:
		return nil, nil
	case w.Delete:
		return []any{&zk.DeleteRequest{Path: path, Version: -1}}, nil
	case exists:
		return []any{&zk.SetDataRequest{Path: path, Data: w.Value, Version: -1}}, nil
	}
	return []any{&zk.CreateRequest{Path: path, Data: w.Value, Acl: s.acl}}, nil
}

// makeRoot makes the node of the prefix, and those above it.
func (s *server) makeRoot(ctx context.Context) error {
	path := ""
	for element := range strings.SplitSeq(strings.TrimPrefix(s.root, "/"), "/") {
		path += "/" + element
		_, err := call(ctx, s, func(conn *zk.Conn) (string, error) { return conn.Create(path, nil, 0, s.acl) })
		if err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	return nil
}

// Wait implements versioned.Server.
func (s *server) Wait(ctx context.Context, version uint64) error {
	type watch struct {
		changed bool
		events  <-chan zk.Event
	}
	w, err := call(ctx, s, func(conn *zk.Conn) (watch, error) {
		exists, stat, events, err := conn.ExistsW(s.root)
		if err != nil {
			return watch{}, err
		}
		now := uint64(0)
		if exists {
			now = uint64(stat.Version) + 1
		}
		return watch{now != version, events}, nil
	})
	if err != nil || w.changed {
		return err
	}
	select {
	case event := <-w.events:
		return s.wrap(event.Err)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close implements versioned.Server.
func (s *server) Close() error {
	s.mu.Lock()
	session := s.session
	s.mu.Unlock()
	if session != nil {
		session.close()
	}
	s.calls.Wait()
	return nil
}

// leastSession and longestSession bound how long the servers wait for a client that went
// silent, and it for them.
const (
	leastSession   = 2 * time.Second
	longestSession = 20 * time.Second
)
