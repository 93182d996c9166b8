package server

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/plugin/lease"
	"github.com/docker/libnetwork/plugin/protocol"
)

// paused is a store that has written, and tells it, before it goes on.
type paused struct {
	cnm.Store
	written, goOn chan struct{}
}

func (p *paused) Update(ctx context.Context, do func(cnm.Tx) error) error {
	err := p.Store.Update(ctx, do)
	p.written <- struct{}{}
	<-p.goOn
	return err
}

// TestLostAnswer: what is granted to an engine that has hung up is free again, and the
// same request gets it.
func TestLostAnswer(t *testing.T) {
	store := &paused{memory.New(), make(chan struct{}), make(chan struct{})}
	book, err := lease.Open(t.Context(), store, lease.Options{})
	ok(t, err)
	s, err := New(Options{Name: "dnet", Controller: empty{}, Inspector: empty{}, Leases: book})
	ok(t, err)
	path := filepath.Join(t.TempDir(), "s")
	l, err := Listen(path)
	ok(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, s, time.Second, s.Log) }()
	step := func() { <-store.written; store.goOn <- struct{}{} }
	request := func(method, body string) net.Conn {
		conn, err := net.Dial("unix", path)
		ok(t, err)
		_, err = fmt.Fprintf(conn, "POST /%s HTTP/1.1\r\nHost: plugin\r\nContent-Length: %d\r\n\r\n%s", method, len(body), body)
		ok(t, err)
		return conn
	}
	const pool, address = `{"AddressSpace":"LocalDefault","Pool":"10.9.8.0/24"}`, `{"PoolID":"LocalDefault/10.9.8.0/24","Address":"10.9.8.9"}`
	for _, c := range []struct{ method, body string }{
		{protocol.RequestPool, pool}, {protocol.RequestAddress, address}, {protocol.RequestAddress, `{"PoolID":"LocalDefault/10.9.8.0/24"}`},
	} {
		conn := request(c.method, c.body)
		<-store.written
		ok(t, conn.Close())
		store.goOn <- struct{}{}
		step() // it is taken back
		conn = request(c.method, c.body)
		step()
		head := make([]byte, 15)
		if _, err := conn.Read(head); err != nil || !strings.HasPrefix(string(head), "HTTP/1.1 200") {
			t.Errorf("%s, asked again: %q, %v", c.method, head, err)
		}
		if strings.Contains(c.body, "10.9.8.9") || c.method == protocol.RequestPool {
			step() // what was chosen is noted to be answered
		}
		ok(t, conn.Close())
	}
	pools, err := book.List(t.Context())
	if err != nil || len(pools) != 1 || len(pools[0].Addresses) != 2 {
		t.Errorf("granted is %+v, %v", pools, err)
	}
	cancel()
	ok(t, <-done)
}
