package firewalld

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
)

// DefaultTimeout is how long firewalld may take over one call. To start or to reload,
// when it answers nobody else, it may take patience times as long.
const DefaultTimeout = 5 * time.Second

const patience = 6

// Options say where firewalld is.
type Options struct {
	// Address is that of the bus, in the form of the D-Bus specification. Empty means
	// the one in DBUS_SYSTEM_BUS_ADDRESS, or else the usual one of the system bus.
	Address string
	// Timeout is the limit of one call. Zero means DefaultTimeout.
	Timeout time.Duration
	// Log takes what goes wrong after a reload or a restart, when there is nobody to
	// return an error to. Nil means that it is dropped.
	Log *slog.Logger
}

// Client keeps links in our zone of firewalld. While firewalld does not run, it is
// dormant: it only remembers the links, and puts them in when firewalld appears. It is
// safe for concurrent use.
type Client struct {
	timeout time.Duration
	log     *slog.Logger
	conn    *dbus.Conn // nil without a bus

	// closing ends when the client is closed.
	closing context.Context
	cancel  context.CancelFunc
	done    sync.WaitGroup

	reloaded chan struct{}
	running  atomic.Bool
	// echo says that the next signal of a reload is the answer to our own. It belongs
	// to Open, and after that to the goroutine that follows firewalld.
	echo bool

	// turn holds a token while somebody talks to firewalld about links, and guards what
	// follows. It is a lock that can be waited for with a context.
	turn  chan struct{}
	links map[string]struct{}
	// trouble is why firewalld, which runs, could not be set up.
	trouble error
}

// Open connects to firewalld, and makes zone and policy where they are missing, which
// takes one reload of firewalld. It is no error if there is no bus, or no firewalld on
// it: the client is dormant then, and without a bus it remains so. It is an error if
// there is a firewalld that refuses or does not answer: Timeout, Unavailable, Forbidden
// or Unsupported. The context is for opening alone.
func Open(ctx context.Context, options Options) (*Client, error) {
	c := &Client{
		timeout:  cmp.Or(options.Timeout, DefaultTimeout),
		log:      options.Log,
		reloaded: make(chan struct{}, 1),
		turn:     make(chan struct{}, 1),
		links:    make(map[string]struct{}),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.closing, c.cancel = context.WithCancel(context.Background())
	if err := c.open(ctx, options.Address); err != nil {
		return nil, cnm.Wrap("open firewalld", errors.Join(err, c.Close()))
	}
	return c, nil
}

func (c *Client) open(ctx context.Context, address string) error {
	conn, err := c.connect(ctx, address)
	if conn == nil {
		return err
	}
	c.conn = conn
	signals := make(chan *dbus.Signal, 16)
	conn.Signal(signals)
	// Listening comes before looking, so that no start of firewalld falls between.
	if err := c.listen(ctx); err != nil {
		return err
	}
	present, err := c.present(ctx)
	if err != nil {
		return err
	}
	if present {
		if err := c.restore(ctx); err != nil {
			return err
		}
	}
	c.done.Go(func() { c.follow(signals) })
	return nil
}

// Reloaded returns the channel that is written to after firewalld reloaded or started,
// when the links are back in the zone, or when firewalld has refused that. It holds one
// signal: several reloads may be told as one. It is never closed.
func (c *Client) Reloaded() <-chan struct{} { return c.reloaded }

// Running reports whether firewalld runs and has what we want it to have.
func (c *Client) Running() bool { return c.running.Load() }

// Close stops following firewalld. The links stay in the zone: the containers behind
// them go on. The client is of no use after that; closing it again is no error.
func (c *Client) Close() error {
	c.cancel()
	if c.conn != nil {
		// What is lost with the connection is nothing: each call was answered or given up.
		_ = c.conn.Close()
	}
	c.done.Wait()
	c.running.Store(false)
	return nil
}

// take waits for the turn.
func (c *Client) take(ctx context.Context) error {
	if c.closing.Err() != nil {
		return errClosed()
	}
	select {
	case c.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return cnm.E("", cnm.Timeout, ctx.Err())
	case <-c.closing.Done():
		return errClosed()
	}
}

func (c *Client) give() { <-c.turn }

func errClosed() error {
	return cnm.E("", cnm.Unavailable, errors.New("the client is closed"))
}
