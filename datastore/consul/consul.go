// Package consul is a store on the servers of Consul, in their key-value part.
//
// Consul commits up to 64 changes at once, and one Update writes no more than 62 keys and
// 512 KiB together; what is larger is Exhausted. Updates of all processes are committed
// one after the other: see package versioned, which also tells how little is read. Other
// programs must not write below the prefix.
package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
	"github.com/docker/libnetwork/internal/versioned"
)

// DefaultPort is the one that Consul serves HTTP on.
const DefaultPort = 8500

// Limits of Consul: operations in a transaction, as documented for its KV verbs, and
// bytes of a request (kv_max_value_size).
const (
	mostOperations = 64
	mostBytes      = 512 << 10
)

// Times.
const (
	connectTimeout = 2 * time.Second
	// waitTime is how long a server may wait for a change before it says that there was
	// none; waitGrace is how much longer that may take.
	waitTime  = 30 * time.Second
	waitGrace = 10 * time.Second
)

// Options say how to talk to the servers. With a user name the login is that of HTTP;
// without, the password is a token of Consul. If there is none either, it is what the
// environment says in CONSUL_HTTP_TOKEN.
type Options = remotestore.Options

// Open returns a store, which is a cnm.Watcher too. Its address is host:port/prefix, or
// several agents with commas between, of which one that answers is asked; the prefix,
// libnetwork if there is none, starts all keys. Invalid is for an address or options that
// could never work. No server is asked: what does not answer is Unavailable when the
// store is used, until it does.
func Open(address string, options Options) (*versioned.Store, error) {
	const op = "open consul store"
	parsed, err := remotestore.ParseAddress(address, DefaultPort)
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if options, err = options.Complete(); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	s := &server{
		name: fmt.Sprintf("consul store %q", parsed), prefix: parsed.Prefix + "/",
		transport: &http.Transport{
			TLSClientConfig: options.TLS, ForceAttemptHTTP2: true, IdleConnTimeout: time.Minute,
			DialContext: (&net.Dialer{Timeout: connectTimeout}).DialContext, TLSHandshakeTimeout: connectTimeout,
		},
	}
	for _, agent := range parsed.Servers {
		client, err := s.newClient(agent, options)
		if err != nil {
			return nil, cnm.E(op, cnm.Invalid, err)
		}
		s.clients = append(s.clients, client)
	}
	return versioned.New(s.name, options, s), nil
}

// server implements versioned.Server.
type server struct {
	name      string
	prefix    string // with a slash at the end
	transport *http.Transport
	clients   []*api.Client
	// answering counts up to the next client when one does not answer.
	answering atomic.Uint64
}

func (s *server) newClient(agent string, options Options) (*api.Client, error) {
	config := &api.Config{Address: agent, Scheme: "http", HttpClient: &http.Client{Transport: s.transport}}
	if options.TLS != nil {
		config.Scheme = "https"
	}
	if options.Username != "" {
		config.HttpAuth = &api.HttpBasicAuth{Username: options.Username, Password: options.Password}
	} else {
		config.Token = options.Password
	}
	return api.NewClient(config)
}

// ask sends a request to the agent that answered last; if it does not now, the next one
// is for the next request.
func (s *server) ask(request func(*api.Client) error) error {
	at := s.answering.Load()
	err := s.wrap(request(s.clients[at%uint64(len(s.clients))]))
	if errors.Is(err, cnm.Unavailable) {
		s.answering.CompareAndSwap(at, at+1)
	}
	return err
}

func (s *server) wrap(err error) error {
	var known *cnm.Error
	var status api.StatusError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, remotestore.ErrLost):
		return err
	case !errors.As(err, &status):
		return cnm.E(s.name, cnm.Unavailable, err)
	}
	switch {
	case status.Code == http.StatusForbidden || status.Code == http.StatusUnauthorized:
		return cnm.E(s.name, cnm.Forbidden, fmt.Errorf("%w; check the token, and that it may write below %q", err, s.prefix))
	case status.Code == http.StatusRequestEntityTooLarge:
		return cnm.E(s.name, cnm.Exhausted, fmt.Errorf("%w; one transaction writes more than the servers allow", err))
	case status.Code >= 500, status.Code == http.StatusTooManyRequests:
		return cnm.E(s.name, cnm.Unavailable, err)
	}
	return cnm.E(s.name, cnm.Internal, err)
}

// consistent asks for what is committed, and not for what one server knows of it.
func consistent(ctx context.Context) *api.QueryOptions {
	return (&api.QueryOptions{RequireConsistent: true}).WithContext(ctx)
}

func (s *server) headKey() string { return s.prefix + ".head" }

func (s *server) key(key string) string { return s.prefix + remotestore.EscapeKey(key, "/") }

// Head implements versioned.Server.
func (s *server) Head(ctx context.Context) (version uint64, value []byte, err error) {
	err = s.ask(func(client *api.Client) error {
		pair, _, err := client.KV().Get(s.headKey(), consistent(ctx))
		if err == nil && pair != nil {
			version, value = pair.ModifyIndex, pair.Value
		}
		return err
	})
	return version, value, err
}

// Load implements versioned.Server.
func (s *server) Load(ctx context.Context) (map[string][]byte, error) {
	out := make(map[string][]byte)
	err := s.ask(func(client *api.Client) error {
		pairs, _, err := client.KV().List(s.prefix, consistent(ctx))
		for _, pair := range pairs {
			if key, ok := remotestore.UnescapeKey(strings.TrimPrefix(pair.Key, s.prefix)); ok {
				out[key] = append([]byte{}, pair.Value...)
			}
		}
		return err
	})
	return out, err
}

// Fetch implements versioned.Server.
func (s *server) Fetch(ctx context.Context, keys []string) (map[string][]byte, error) {
	out := make(map[string][]byte)
	err := s.ask(func(client *api.Client) error {
		for _, key := range keys {
			pair, _, err := client.KV().Get(s.key(key), consistent(ctx))
			if err != nil {
				return err
			}
			if pair != nil {
				out[key] = append([]byte{}, pair.Value...)
			}
		}
		return nil
	})
	return out, err
}

// Commit implements versioned.Server.
func (s *server) Commit(ctx context.Context, version uint64, head []byte, writes []remotestore.Write) (uint64, error) {
	operations := api.TxnOps{{KV: &api.KVTxnOp{Verb: api.KVCAS, Key: s.headKey(), Value: head, Index: version}}}
	size := len(head)
	for _, w := range writes {
		op := &api.KVTxnOp{Verb: api.KVSet, Key: s.key(w.Key), Value: w.Value}
		if w.Delete {
			op = &api.KVTxnOp{Verb: api.KVDelete, Key: s.key(w.Key)}
		}
		operations = append(operations, &api.TxnOp{KV: op})
		size += len(w.Value)
	}
	if len(operations) > mostOperations-1 {
		return 0, cnm.E(s.name, cnm.Exhausted, fmt.Errorf("one transaction cannot write %d keys: Consul allows %d; write them in several", len(writes), mostOperations-2))
	}
	if size > mostBytes {
		return 0, cnm.E(s.name, cnm.Exhausted, fmt.Errorf("one transaction cannot write %d bytes: Consul allows %d; write them in several", size, mostBytes))
	}
	var next uint64
	err := s.ask(func(client *api.Client) error {
		made, response, _, err := client.Txn().Txn(operations, consistent(ctx))
		switch {
		case err != nil:
			return err
		case made && len(response.Results) > 0 && response.Results[0].KV != nil:
			next = response.Results[0].KV.ModifyIndex
			return nil
		}
		for _, e := range response.Errors {
			if e.OpIndex == 0 {
				return remotestore.ErrLost
			}
			err = errors.Join(err, errors.New(e.What))
		}
		return cnm.E(s.name, cnm.Internal, errors.Join(errors.New("the transaction was refused"), err))
	})
	return next, err
}

// Wait implements versioned.Server.
func (s *server) Wait(ctx context.Context, version uint64) error {
	ctx, cancel := context.WithTimeout(ctx, waitTime+waitGrace)
	defer cancel()
	return s.ask(func(client *api.Client) error {
		query := consistent(ctx)
		pair, meta, err := client.KV().Get(s.headKey(), query)
		if err != nil || pair != nil && pair.ModifyIndex != version || pair == nil && version != 0 {
			return err
		}
		query = consistent(ctx)
		query.WaitIndex, query.WaitTime = meta.LastIndex, waitTime
		_, _, err = client.KV().Get(s.headKey(), query)
		return err
	})
}

// Close implements versioned.Server.
func (s *server) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}
