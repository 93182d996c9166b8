package kernel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// applyLimit bounds what a link sends by a token bucket. For what it receives the bucket
// is at another link, through which all of it is sent.
func (a *application) applyLimit(c netstate.Change, limit netstate.Limit, link rtnl.Link) error {
	add := func(feature Feature, tolerate func(error) bool, request rtnl.Request) {
		a.add(step{change: c, request: request, tolerate: tolerate, feature: feature}, false)
	}
	if c.Verb == netstate.Remove {
		if limit.Through == "" {
			add("", notThere, rtnl.RemoveLimit(link.Index))
			return nil
		}
		add("", notThere, rtnl.RemoveRedirect(link.Index))
		add("", notThere, rtnl.CloseIngress(link.Index))
		if through, ok := a.known[a.key(limit.Through)]; ok {
			add("", notThere, rtnl.RemoveLimit(through.Index))
		}
		return nil
	}
	bucket := rtnl.Limit{Link: link.Index, Rate: limit.Rate / 8, Burst: limit.Burst}
	if limit.Through == "" {
		add(FeatureTBF, nil, rtnl.SetLimit(bucket))
		return nil
	}
	through, ok := a.known[a.key(limit.Through)]
	if !ok {
		return cnm.E("", cnm.NotFound, fmt.Errorf("link %q: does not exist", limit.Through))
	}
	bucket.Link = through.Index
	add(FeatureTBF, nil, rtnl.SetLimit(bucket))
	add(FeatureIngress, refused, rtnl.OpenIngress(link.Index))
	add("", notThere, rtnl.RemoveRedirect(link.Index))
	add(FeatureMirred, nil, rtnl.AddRedirect(rtnl.Redirect{Link: link.Index, To: through.Index}))
	return nil
}

// refused reports whether the kernel says that something else is in that place.
func refused(err error) bool { return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EEXIST) }

// notThere reports whether the kernel says that there is nothing of ours to take away.
func notThere(err error) bool { return gone(err) || errors.Is(err, unix.EINVAL) }

// bucketKind is what a link reports as its queueing discipline if it has a limit.
const bucketKind = "tbf"

// addLimits adds the limits of ours. A namespace without any is not asked.
func (p *picture) addLimits(ctx context.Context, conn *rtnl.Conn) error {
	limited := false
	for _, link := range p.links {
		limited = limited || link.Queue == bucketKind
	}
	if !limited {
		return nil
	}
	buckets, redirects, err := conn.Limits(ctx)
	if err != nil {
		return err
	}
	for _, b := range buckets {
		limit := netstate.Limit{Link: p.links[b.Link].Name, Rate: b.Rate * 8, Burst: b.Burst}
		link := b.Link
		if p.links[b.Link].Kind == string(netstate.IFB) {
			i := slices.IndexFunc(redirects, func(r rtnl.Redirect) bool { return r.To == b.Link })
			if i < 0 {
				continue // limits nothing
			}
			link = redirects[i].Link
			limit.Link, limit.Through = p.links[link].Name, limit.Link
		}
		part := p.part(p.owners[link])
		part.Limits = append(part.Limits, limit)
	}
	return nil
}
