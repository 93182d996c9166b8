package kernel

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

func (h *host) Apply(ctx context.Context, changes netstate.Changes) error {
	for len(changes) > 0 {
		n := runLength(changes)
		run := changes[:n]
		changes = changes[n:]
		s, err := h.space(run[0].Namespace)
		if err != nil {
			// With its namespace, all that is to go has gone.
			if errors.Is(err, cnm.NotFound) && onlyTakesAway(run) {
				continue
			}
			return changeError(run[0], err)
		}
		if err := h.applyRun(ctx, s, run); err != nil {
			return err
		}
	}
	return nil
}

// runLength returns how many changes from the first go to the kernel together:
// those of one namespace and of one stage.
func runLength(changes netstate.Changes) int {
	n := 1
	for n < len(changes) && changes[n].Namespace == changes[0].Namespace && stageOf(changes[n]) == stageOf(changes[0]) {
		n++
	}
	return n
}

// stage is how a change is carried out.
type stage int

const (
	stageSysctl stage = iota // a file is written
	stageDelete              // links go, with a wait
	stageLink                // links are made and changed, by name
	stageIndex               // addresses and the like, by the index of their link
)

func stageOf(c netstate.Change) stage {
	switch c.Object.(type) {
	case netstate.Sysctl:
		return stageSysctl
	case netstate.Link:
		if c.Verb == netstate.Delete {
			return stageDelete
		}
		return stageLink
	default:
		return stageIndex
	}
}

func onlyTakesAway(run netstate.Changes) bool {
	for _, c := range run {
		if c.Verb != netstate.Delete && c.Verb != netstate.Remove {
			return false
		}
	}
	return true
}

func (h *host) applyRun(ctx context.Context, s *space, run netstate.Changes) error {
	switch stageOf(run[0]) {
	case stageSysctl:
		return writeSysctls(ctx, s, run)
	case stageDelete:
		return h.deleteLinks(ctx, s, run)
	case stageLink:
		return h.applyLinks(ctx, s, run)
	default:
		return h.applyIndexed(ctx, s, run)
	}
}

func writeSysctls(ctx context.Context, s *space, run netstate.Changes) error {
	settings, err := s.settings()
	if err != nil {
		return changeError(run[0], err)
	}
	for _, c := range run {
		if err := ctx.Err(); err != nil {
			return changeError(c, cnm.E("", cnm.Timeout, err))
		}
		setting := c.Object.(netstate.Sysctl)
		err := settings.Write(setting.Key, setting.Value)
		if err != nil && (!setting.Optional || !errors.Is(err, cnm.NotFound)) {
			return changeError(c, err)
		}
	}
	return nil
}

// step is a request with the change it is for.
type step struct {
	change  netstate.Change
	request rtnl.Request
	// tolerate says which refusals mean that the change is done already.
	tolerate func(error) bool
}

// execute sends the steps in one datagram and reports the first that was refused.
func execute(ctx context.Context, s *space, steps []step) error {
	if len(steps) == 0 {
		return nil
	}
	requests := make([]rtnl.Request, len(steps))
	for i, step := range steps {
		requests[i] = step.request
	}
	errs, err := s.conn.ExecuteAll(ctx, requests...)
	if err != nil {
		return changeError(steps[0].change, err)
	}
	for i, err := range errs {
		if err != nil && (steps[i].tolerate == nil || !steps[i].tolerate(err)) {
			return changeError(steps[i].change, err)
		}
	}
	return nil
}

// changeError names the change. What the kernel says gets its kind here.
func changeError(c netstate.Change, err error) error {
	var refused *rtnl.RequestError
	if errors.As(err, &refused) {
		err = errno.Wrap("", err)
	}
	return cnm.E("apply", cnm.KindOf(err), fmt.Errorf("%s: %w", c, err))
}

func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) ||
		errors.Is(err, unix.EADDRNOTAVAIL)
}

// links returns those of the names that exist.
func (s *space) links(ctx context.Context, names map[string]bool) (map[string]rtnl.Link, error) {
	out := make(map[string]rtnl.Link, len(names))
	if len(names) == 0 {
		return out, nil
	}
	found := make([]rtnl.Link, len(names))
	requests := make([]rtnl.Request, 0, len(names))
	for name := range names {
		requests = append(requests, rtnl.GetLink(name, &found[len(requests)]))
	}
	errs, err := s.conn.ExecuteAll(ctx, requests...)
	if err != nil {
		return nil, err
	}
	for i, err := range errs {
		switch {
		case err == nil && found[i].Index > 0:
			out[found[i].Name] = found[i]
		case err != nil && !gone(err):
			return nil, errno.Wrap("", err)
		}
	}
	return out, nil
}

// applyIndexed adds and removes addresses, routes and neighbours.
func (h *host) applyIndexed(ctx context.Context, s *space, run netstate.Changes) error {
	names := make(map[string]bool)
	for _, c := range run {
		names[linkOf(c.Object)] = true
	}
	links, err := s.links(ctx, names)
	if err != nil {
		return changeError(run[0], err)
	}
	foreign, err := h.foreignAddrs(ctx, s, run, links)
	if err != nil {
		return changeError(run[0], err)
	}
	var steps []step
	for _, c := range run {
		link, ok := links[linkOf(c.Object)]
		if !ok && c.Verb == netstate.Remove {
			continue
		}
		if !ok {
			return changeError(c, cnm.E("", cnm.NotFound, fmt.Errorf("link %q: does not exist", linkOf(c.Object))))
		}
		if a, ok := c.Object.(netstate.Addr); ok && foreign[addrAt{link.Index, a.Prefix}] {
			continue
		}
		steps = append(steps, indexedStep(c, link.Index))
	}
	return execute(ctx, s, steps)
}

// addrAt is an address on a link.
type addrAt struct {
	link   int
	prefix netip.Prefix
}

// foreignAddrs returns, for links that are not ours, the addresses that somebody
// else put there: they are neither taken over nor removed.
func (h *host) foreignAddrs(ctx context.Context, s *space, run netstate.Changes, links map[string]rtnl.Link) (map[addrAt]bool, error) {
	look := false
	for _, c := range run {
		if a, ok := c.Object.(netstate.Addr); ok {
			_, ours := h.owner(links[a.Link])
			look = look || !ours
		}
	}
	if !look {
		return nil, nil
	}
	addrs, err := s.conn.Addrs(ctx)
	if err != nil {
		return nil, err
	}
	foreign := make(map[addrAt]bool)
	for _, a := range addrs {
		if a.Protocol != rtnl.Protocol {
			foreign[addrAt{a.Link, a.Prefix}] = true
		}
	}
	for _, link := range links {
		if _, ours := h.owner(link); ours {
			for at := range foreign {
				if at.link == link.Index {
					delete(foreign, at)
				}
			}
		}
	}
	return foreign, nil
}

func linkOf(object netstate.Object) string {
	switch o := object.(type) {
	case netstate.Addr:
		return o.Link
	case netstate.Route:
		return o.Link
	case netstate.Neighbor:
		return o.Link
	}
	return ""
}

func indexedStep(c netstate.Change, index int) step {
	st := step{change: c}
	if c.Verb == netstate.Remove {
		st.tolerate = gone
	}
	add := c.Verb == netstate.Add
	switch o := c.Object.(type) {
	case netstate.Addr:
		if st.request = rtnl.RemoveAddr(index, o.Prefix); add {
			st.request = rtnl.AddAddr(index, o.Prefix)
		}
	case netstate.Route:
		route := rtnl.Route{Link: index, Destination: o.Destination, Gateway: o.Gateway, Metric: o.Metric}
		if st.request = rtnl.RemoveRoute(route); add {
			st.request = rtnl.AddRoute(route)
		}
	case netstate.Neighbor:
		if st.request = rtnl.RemoveNeighbor(index, o.IP); add {
			st.request = rtnl.AddNeighbor(index, o.IP, o.MAC)
		}
	}
	return st
}
