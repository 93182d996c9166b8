package conntrack

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// job says which entries of a family are to go.
type job struct {
	// exact filters are, together, for just these. There are none if filters cannot tell,
	// or are too many.
	exact []filter
	// rough is for these and others, and match tells these from the others.
	rough filter
	match func(*entry) bool
}

// forget carries out the job for each family that there is something of.
func forget[T any](ctx context.Context, c *Conn, all families[T], plan func(things []T, count int) job) (deleted int, err error) {
	if len(all[0])+len(all[1]) == 0 {
		return 0, nil
	}
	count, err := c.count(ctx)
	if err != nil || count == 0 {
		return 0, cnm.Wrap("count entries", err)
	}
	var errs []error
	for _, things := range all {
		if len(things) == 0 {
			continue
		}
		n, err := c.carryOut(ctx, plan(things, count))
		deleted += n
		errs = append(errs, err)
	}
	return deleted, errors.Join(errs...)
}

func (c *Conn) carryOut(ctx context.Context, j job) (int, error) {
	if len(j.exact) > 0 {
		deleted, err := c.deleteFiltered(ctx, j.exact)
		if !unknown(err) {
			return deleted, cnm.Wrap("delete entries", explain(err))
		}
	}
	var requests [][]byte
	restart := func() { requests = nil }
	err := c.read(ctx, j.rough, restart, func(e *entry) {
		if j.match(e) {
			requests = append(requests, deletion(e, j.rough.ipv6))
		}
	})
	if err != nil {
		return 0, cnm.Wrap("read entries", explain(err))
	}
	deleted, err := c.deleteNamed(ctx, requests)
	return deleted, cnm.Wrap("delete entries", explain(err))
}

// unknown reports whether the kernel says that it does not know filters, or not these.
func unknown(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP)
}

// deleteFiltered deletes all that the filters are for. The kernel does not tell how many.
func (c *Conn) deleteFiltered(ctx context.Context, filters []filter) (deleted int, err error) {
	before, err := c.count(ctx)
	if err != nil {
		return 0, err
	}
	requests := make([][]byte, 0, len(filters))
	for _, f := range filters {
		requests = append(requests, f.message(messageDelete))
	}
	var refused error
	err = c.retry(ctx, func() error {
		refused = nil
		return c.execute(requests, func([]byte) {}, func(err error) { refused = err })
	})
	if err != nil || refused != nil {
		return 0, errors.Join(err, refused)
	}
	after, err := c.count(ctx)
	return max(before-after, 0), err
}

// read calls each with the entries that the filter is for, from the beginning after
// restart. The entry is valid during the call. A kernel before 5.8 sends all of the
// family, and so does one that refuses the filter.
func (c *Conn) read(ctx context.Context, f filter, restart func(), each func(*entry)) error {
	var e entry // one for all: it would be an allocation for each
	dump := func(f filter) error {
		return c.retry(ctx, func() error {
			restart()
			return c.dump(f.message(messageGet), func(body []byte) (err error) {
				if e, err = parseEntry(body); err == nil {
					each(&e)
				}
				return err
			})
		})
	}
	err := dump(f)
	if whole := (filter{ipv6: f.ipv6}); unknown(err) && f != whole {
		err = dump(whole)
	}
	return err
}

// deleteNamed sends the requests in batches and returns how many entries are gone by
// them. Those that were gone already are no error.
func (c *Conn) deleteNamed(ctx context.Context, requests [][]byte) (deleted int, err error) {
	var refused error
	for len(requests) > 0 {
		batch := requests[:min(batchSize, len(requests))]
		requests = requests[len(batch):]
		gone := 0
		err := c.retry(ctx, func() error {
			gone = len(batch)
			return c.execute(batch, func([]byte) {}, func(err error) {
				gone--
				if !errors.Is(err, unix.ENOENT) {
					refused = err
				}
			})
		})
		if err != nil {
			return deleted, err
		}
		deleted += gone
	}
	return deleted, refused
}

func (c *Conn) count(ctx context.Context) (count int, err error) {
	var failed error
	err = c.retry(ctx, func() error {
		failed = nil
		return c.execute([][]byte{newMessage(messageGetStats, false)},
			func(body []byte) { count, failed = parseStats(body) },
			func(err error) { failed = err })
	})
	return count, explain(errors.Join(err, failed))
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
