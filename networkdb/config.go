package networkdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/docker/libnetwork/cnm"
)

// DefaultPort is the port, of UDP and TCP, that Docker uses for this.
const DefaultPort = 7946

// Bounds of names and values, in bytes. What is longer is refused, from here and from
// others.
const (
	MaxNameLength  = 255
	MaxKeyLength   = 1024
	MaxValueLength = 256 << 10
)

// Config says how a node takes part. Only NodeID is required; zero fields get the
// defaults, which are those of Docker's networking library where it has the field.
type Config struct {
	// NodeID is the node's name, and unique in the cluster. A node that starts again
	// may have the same or another one.
	NodeID string
	// BindAddr is the IP address to listen on; "" is 0.0.0.0.
	BindAddr string
	// BindPort is the port to listen on, by UDP and TCP; zero is DefaultPort.
	BindPort int
	// AdvertiseAddr and AdvertisePort are where others find the node; "" is BindAddr,
	// or a private address of the machine, and zero is BindPort.
	AdvertiseAddr string
	AdvertisePort int
	// PacketBufferSize bounds packets, in bytes, so that none is fragmented: 1400.
	PacketBufferSize int
	// Keys encrypt the traffic with AES; each has 16, 24 or 32 bytes. The first is the
	// primary one, by which is sent; what was encrypted with any of them is understood.
	// Without keys everything is in the clear, and remains so.
	Keys [][]byte
	// Transport replaces sockets; BindAddr, BindPort and those to advertise are then
	// its own affair. New takes it over: it is shut down with the database.
	Transport memberlist.Transport
	// Dial connects to other nodes, for one whose sockets are in another network namespace
	// than its process; nil is net.Dialer. A Transport of one's own has no use for it.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Logger gets what is worth knowing; nil is nobody.
	Logger *slog.Logger

	// GossipInterval is the pace of cluster events: 200 ms.
	GossipInterval time.Duration
	// ProbeInterval is how often a node probes another one: 1 s. A node that does not
	// answer has failed after some four of these.
	ProbeInterval time.Duration
	// PushPullInterval is how often all attachments are exchanged: 30 s.
	PushPullInterval time.Duration
	// BulkSyncInterval is how often all entries are exchanged with a random node: 30 s.
	BulkSyncInterval time.Duration
	// BulkSyncTimeout is how long an answer to it is awaited: 30 s.
	BulkSyncTimeout time.Duration
	// DigestInterval is how often sums are compared with a random node: 1 s.
	DigestInterval time.Duration
	// RejoinInterval is how often nodes that failed, and those of Join that are no
	// members, are looked for: 1 s.
	RejoinInterval time.Duration
	// ReapInterval is how often what has expired is looked for: 5 s.
	ReapInterval time.Duration
	// TombstoneTime is how long a deletion is remembered: 30 min. It must be longer
	// than news take to reach every node.
	TombstoneTime time.Duration
	// NodeTime is how long a node that failed or left is remembered: 24 h.
	NodeTime time.Duration
	// MaxBytes bounds what all entries take: 256 MiB. What is more is refused.
	MaxBytes int
}

// extraNetworkTime is how much longer than an entry's a network's end is remembered, so
// that deletions in it go first.
const extraNetworkTime = 25 * time.Second

func (c Config) withDefaults() Config {
	setDefault(&c.BindAddr, "0.0.0.0")
	setDefault(&c.BindPort, DefaultPort)
	setDefault(&c.AdvertisePort, c.BindPort)
	setDefault(&c.PacketBufferSize, 1400)
	setDefault(&c.GossipInterval, 200*time.Millisecond)
	setDefault(&c.ProbeInterval, time.Second)
	setDefault(&c.PushPullInterval, 30*time.Second)
	setDefault(&c.BulkSyncInterval, 30*time.Second)
	setDefault(&c.BulkSyncTimeout, 30*time.Second)
	setDefault(&c.DigestInterval, time.Second)
	setDefault(&c.RejoinInterval, time.Second)
	setDefault(&c.ReapInterval, 5*time.Second)
	setDefault(&c.TombstoneTime, 30*time.Minute)
	setDefault(&c.NodeTime, 24*time.Hour)
	setDefault(&c.MaxBytes, 256<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Bounds of a packet: what a minimal IPv4 host must take, and what UDP can carry.
const (
	minPacket = 508
	maxPacket = 65000
)

func (c Config) check() error {
	if err := checkName("node id", c.NodeID, MaxNameLength); err != nil {
		return err
	}
	for name, text := range map[string]string{"bind address": c.BindAddr, "advertise address": c.AdvertiseAddr} {
		if text != "" && net.ParseIP(text) == nil {
			return fmt.Errorf("%s %q: no IP address", name, text)
		}
	}
	for name, port := range map[string]int{"bind port": c.BindPort, "advertise port": c.AdvertisePort} {
		if port < 1 || port > 65535 {
			return fmt.Errorf("%s %d: must be from 1 to 65535", name, port)
		}
	}
	if c.PacketBufferSize < minPacket || c.PacketBufferSize > maxPacket {
		return fmt.Errorf("packet buffer size %d: must be from %d to %d", c.PacketBufferSize, minPacket, maxPacket)
	}
	for i, key := range c.Keys {
		if err := memberlist.ValidateKey(key); err != nil {
			return fmt.Errorf("key %d: %w", i, errKeySize)
		}
	}
	for name, d := range map[string]time.Duration{
		"gossip interval": c.GossipInterval, "probe interval": c.ProbeInterval, "push-pull interval": c.PushPullInterval,
		"bulk sync interval": c.BulkSyncInterval, "bulk sync timeout": c.BulkSyncTimeout, "digest interval": c.DigestInterval,
		"rejoin interval": c.RejoinInterval, "reap interval": c.ReapInterval, "tombstone time": c.TombstoneTime, "node time": c.NodeTime,
	} {
		if d < time.Millisecond {
			return fmt.Errorf("%s %s: must be a millisecond or more", name, d)
		}
	}
	if c.MaxBytes < 0 {
		return fmt.Errorf("max bytes %d: must not be negative", c.MaxBytes)
	}
	return nil
}

var errKeySize = errors.New("must have 16, 24 or 32 bytes")

func checkName(what, name string, limit int) error {
	if name == "" {
		return fmt.Errorf("%s: must not be empty", what)
	}
	if len(name) > limit {
		return fmt.Errorf("%s: has %d bytes, of %d at most", what, len(name), limit)
	}
	return nil
}

// checkEntry checks what names an entry, and its value.
func checkEntry(op, network, table, key string, value []byte) error {
	err := errors.Join(checkName("network", network, MaxNameLength), checkName("table", table, MaxNameLength),
		checkName("key", key, MaxKeyLength))
	if err == nil && len(value) > MaxValueLength {
		err = fmt.Errorf("value: has %d bytes, of %d at most", len(value), MaxValueLength)
	}
	if err != nil {
		return cnm.E(op, cnm.Invalid, err)
	}
	return nil
}
