package conntrack

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// Count returns how many entries the namespace's table has now, of all protocols. It
// takes the kernel no time that grows with them. Without the conntrack subsystem the
// error is Unsupported.
func (c *Conn) Count(ctx context.Context) (int, error) {
	request := [][]byte{newMessage(messageGetStats, 0, false)}
	count, refused := -1, error(nil)
	err := c.again(ctx, func() error {
		return c.execute(request, func(body []byte) {
			if n, err := parseStats(body); err == nil {
				count = n
			}
		}, func(_ int, err error) { refused = err })
	})
	switch {
	case err == nil && refused != nil:
		err = explain(refused)
	case err == nil && count < 0:
		err = errors.New("no number in the kernel's answer")
	}
	return max(count, 0), cnm.Wrap("conntrack: count entries", err)
}

// parseStats reads CTA_STATS_GLOBAL_ENTRIES.
func parseStats(body []byte) (int, error) {
	if len(body) < familySize {
		return 0, errCutOff
	}
	count := -1
	err := attributes(body[familySize:], func(kind uint16, value []byte) error {
		if kind == globalEntries && len(value) == 4 {
			count = int(binary.BigEndian.Uint32(value))
		}
		return nil
	})
	return count, err
}

// Removed deletes the connections that were translated to a publication that is no
// more: the destination was its host address, if it has one, and one of its ports, and
// the answers come from its target. The context is looked at between exchanges with the
// kernel. Publications that make no sense are Invalid, and then nothing is deleted; for
// other errors what could be deleted is, and counted.
func (c *Conn) Removed(ctx context.Context, publications []Publication) (deleted int, err error) {
	deleted, err = c.forget(ctx, publications, true, removedMatcher)
	return deleted, cnm.Wrap("conntrack: forget connections of removed ports", err)
}

// Added deletes UDP connections that began before a publication existed: the
// destination is its host address, or if it has none an address that isLocal accepts,
// with one of its ports, but the answers do not come from its target. Connections that
// merely pass through the host stay; and so do those of other protocols, whose clients
// get no answer and begin anew. isLocal is called with destinations, of the publications'
// families, and must not use c; a nil one accepts none. Errors are as for
// [Conn.Removed].
func (c *Conn) Added(ctx context.Context, publications []Publication, isLocal func(netip.Addr) bool) (deleted int, err error) {
	udp := make([]Publication, 0, len(publications))
	for _, p := range publications {
		if p.Protocol == protocolUDP {
			udp = append(udp, p)
		}
	}
	deleted, err = c.forget(ctx, udp, false, func(p []Publication) func(*entry) bool { return addedMatcher(p, isLocal) })
	return deleted, cnm.Wrap("conntrack: forget connections from before ports were added", err)
}

// forget deletes what the matcher for all publications of a kind matches.
func (c *Conn) forget(ctx context.Context, publications []Publication, byTarget bool, matcher func([]Publication) func(*entry) bool) (deleted int, err error) {
	kinds, err := byKind(publications)
	if err != nil {
		return 0, err
	}
	var errs []error
	for kind, publications := range kinds {
		n, err := c.forgetKind(ctx, kind, narrow(publications, byTarget), matcher(publications))
		deleted += n
		errs = append(errs, err)
	}
	return deleted, errors.Join(errs...)
}

func (c *Conn) forgetKind(ctx context.Context, k kind, filter []byte, match func(*entry) bool) (int, error) {
	var requests [][]byte
	restart := func() { requests = nil }
	err := c.entries(ctx, k, filter, restart, func(e *entry) {
		if match(e) {
			requests = append(requests, deleteMessage(e))
		}
	})
	if err != nil {
		return 0, cnm.Wrap("read entries", err)
	}
	deleted, err := c.delete(ctx, requests)
	return deleted, cnm.Wrap("delete entries", err)
}

// entries calls each with the entries of a kind, from the beginning after restart. The
// entry is valid during the call. Filter may be refused: then the kernel sends all
// entries of the family.
func (c *Conn) entries(ctx context.Context, k kind, filter []byte, restart func(), each func(*entry)) error {
	read := func(filter []byte) error {
		return c.again(ctx, func() error {
			restart()
			request := append(newMessage(messageGet, 0, k.ipv6), filter...)
			return c.dump(request, func(body []byte) error {
				e, err := parseEntry(body)
				if err == nil && e.ipv6 == k.ipv6 && e.protocol == k.protocol {
					each(&e)
				}
				return err
			})
		})
	}
	err := read(filter)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
		err = read(nil)
	}
	return explain(err)
}

// delete sends the requests in batches and returns how many entries are gone by them.
// Those that were gone already are no error.
func (c *Conn) delete(ctx context.Context, requests [][]byte) (deleted int, err error) {
	var refusal error
	for len(requests) > 0 {
		batch := requests[:min(batchSize, len(requests))]
		requests = requests[len(batch):]
		var gone int
		var first error
		err := c.again(ctx, func() error {
			gone, first = len(batch), nil
			return c.execute(batch, func([]byte) {}, func(_ int, err error) {
				gone--
				if first == nil && !errors.Is(err, unix.ENOENT) {
					first = err
				}
			})
		})
		if err != nil {
			return deleted, err
		}
		deleted += gone
		if refusal == nil {
			refusal = first
		}
	}
	return deleted, explain(refusal)
}

// explain gives a refusal its kind, if it has none. EINVAL is the kernel's word for a
// subsystem that it does not have.
func explain(err error) error {
	var known *cnm.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, unix.EINVAL):
		return cnm.E("", cnm.Unsupported, fmt.Errorf(
			"%w (the kernel may lack connection tracking over netlink, CONFIG_NF_CT_NETLINK: load the module nf_conntrack_netlink)", err))
	}
	return errno.Wrap("", err)
}
