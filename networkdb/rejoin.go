package networkdb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/networkdb/message"
)

// Join makes this node part of the cluster that the members belong to, each given as an
// address or a name, with or without a port. One that answers is enough; if none does, the
// error is Unavailable. The members are remembered: whenever one of them is not part of
// the cluster, it is looked for, so that halves of a cluster find each other again.
func (d *NetworkDB) Join(ctx context.Context, members []string) error {
	const op = "join cluster"
	var addresses []string
	for _, m := range members {
		found, err := d.resolve(ctx, m)
		if err != nil {
			return cnm.Wrap(op, fmt.Errorf("member %q: %w", m, err))
		}
		addresses = append(addresses, found...)
	}
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return cnm.E(op, cnm.Forbidden, errClosed)
	}
	for _, a := range addresses {
		if !slices.Contains(d.bootstrap, a) {
			d.bootstrap = append(d.bootstrap, a)
		}
	}
	d.mu.Unlock()
	if len(addresses) == 0 {
		return nil
	}
	done := make(chan error, 1)
	if !d.submit(func(context.Context) { done <- d.joinAddresses(addresses) }) {
		return cnm.E(op, cnm.Unavailable, errBusy)
	}
	select {
	case err := <-done:
		return cnm.Wrap(op, err)
	case <-ctx.Done():
		return cnm.E(op, cnm.Timeout, ctx.Err())
	case <-d.ctx.Done():
		return cnm.E(op, cnm.Forbidden, errClosed)
	}
}

// joinAddresses exchanges states with nodes, and tells all that this one is here: with a
// time after what it learned, since it may have left in an earlier life.
func (d *NetworkDB) joinAddresses(addresses []string) error {
	if _, err := d.members.Join(addresses); err != nil {
		return cnm.E("", cnm.Unavailable, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.closed {
		d.state.announceNode(message.Join)
	}
	return nil
}

// resolve returns the addresses, with ports, of a member.
func (d *NetworkDB) resolve(ctx context.Context, member string) ([]string, error) {
	host, port := member, strconv.Itoa(d.config.BindPort)
	if h, p, err := net.SplitHostPort(member); err == nil {
		number, err := strconv.ParseUint(p, 10, 16)
		if err != nil || number == 0 {
			return nil, cnm.E("", cnm.Invalid, fmt.Errorf("port %q: must be from 1 to 65535", p))
		}
		host, port = h, p
	}
	if net.ParseIP(host) != nil {
		return []string{net.JoinHostPort(host, port)}, nil
	}
	if host == "" {
		return nil, cnm.E("", cnm.Invalid, fmt.Errorf("must be an address or a name, and may have a port"))
	}
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, cnm.E("", cnm.Unavailable, err)
	}
	for i, ip := range ips {
		ips[i] = net.JoinHostPort(ip, port)
	}
	return ips, nil
}

// target is a node to look for: one that failed, or, without a name, an address.
type target struct {
	name, address string
}

// Network and String implement net.Addr.
func (target) Network() string  { return "udp" }
func (t target) String() string { return t.address }

// lookForOthers looks for failed nodes, and for members of Join that are none, until the
// context ends. It asks by packet first, which costs little; who answers is joined.
func (d *NetworkDB) lookForOthers(ctx context.Context) {
	ticker := time.NewTicker(d.config.RejoinInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, t := range d.missing() {
			if ctx.Err() != nil {
				return
			}
			if _, err := d.members.Ping(t.name, t); err != nil {
				continue
			}
			if err := d.joinAddresses([]string{t.address}); err != nil {
				d.log.Debug("join again", "node", t.name, "address", t.address, "error", err)
			} else {
				d.log.Info("cluster joined again", "node", t.name, "address", t.address)
			}
		}
	}
}

// missing returns a few random nodes that are not part of the cluster but should be.
func (d *NetworkDB) missing() []target {
	const few = 2
	d.mu.Lock()
	defer d.mu.Unlock()
	present := map[string]bool{}
	var lost []target
	for _, n := range d.state.nodes {
		switch n.standing() {
		case active:
			present[n.member.Address()] = true
		case failed:
			lost = append(lost, target{n.name, n.member.Address()})
		case left:
		}
	}
	var seeds []target
	for _, address := range d.bootstrap {
		if !present[address] {
			seeds = append(seeds, target{address: address})
		}
	}
	return append(pick(lost, few), pick(seeds, 1)...)
}

// pick returns up to n random ones.
func pick(from []target, n int) []target {
	rand.Shuffle(len(from), func(i, j int) { from[i], from[j] = from[j], from[i] })
	return from[:min(n, len(from))]
}
