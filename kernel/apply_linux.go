package kernel

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// Apply packs consecutive changes of one namespace into one datagram. The kernel
// carries out the rest of a datagram when it refuses a request in it, so some
// changes behind the one that failed may have been made; taking the whole list back
// takes these back too.
func (h *host) Apply(ctx context.Context, changes netstate.Changes) error {
	if err := h.validate(changes); err != nil {
		return err
	}
	if err := h.firewall.connections.settle(ctx, changes); err != nil {
		return cnm.E("apply", cnm.Timeout, err)
	}
	a := &application{h: h, ctx: ctx, known: make(map[netstate.Peer]rtnl.Link)}
	defer a.leave()
	for len(changes) > 0 {
		n := runLength(changes)
		if err := a.apply(changes[:n]); err != nil {
			// What waits comes before what failed.
			return cmp.Or(a.flush(), err)
		}
		changes = changes[n:]
	}
	return a.flush()
}

// application is one list of changes being applied.
type application struct {
	h   *host
	ctx context.Context
	// space is where steps are to be taken; nil at first.
	space *space
	// steps wait for more, to share their datagram. With marksOnly they may wait
	// until sysctls are written: the marks of links that were just made.
	steps     []step
	marksOnly bool
	// known holds links by namespace and name, as they will be after the steps.
	known map[netstate.Peer]rtnl.Link
}

// step is a request with the change it is for.
type step struct {
	change  netstate.Change
	request rtnl.Request
	// tolerate says which refusals mean that the change is done already; nil for
	// none.
	tolerate func(error) bool
	// feature is what the kernel must have for it; empty if every kernel does.
	feature Feature
	// explain, if it is set, puts what the kernel says into words.
	explain func(error) error
}

// stage is how a change is carried out.
type stage int

const (
	stageSysctl stage = iota // a file is written
	stageFilter              // the packet filter changes, at once
	stageDelete              // links go, with a wait
	stagePacket              // all else, by rtnetlink
)

func stageOf(c netstate.Change) stage {
	switch c.Object.(type) {
	case netstate.Sysctl:
		return stageSysctl
	case netstate.Intent:
		return stageFilter
	case netstate.Link:
		if c.Verb == netstate.Delete {
			return stageDelete
		}
	}
	return stagePacket
}

// runLength returns how many changes from the first are of its namespace and stage.
func runLength(changes netstate.Changes) int {
	n := 1
	for n < len(changes) && changes[n].Namespace == changes[0].Namespace && stageOf(changes[n]) == stageOf(changes[0]) {
		n++
	}
	return n
}

// apply takes a run of changes of one namespace and stage.
func (a *application) apply(run netstate.Changes) error {
	switch stageOf(run[0]) {
	case stageSysctl:
		return a.writeSysctls(run)
	case stageFilter:
		if err := a.flush(); err != nil {
			return err
		}
		return a.filter(run)
	}
	if err := a.enter(run[0].Namespace); err != nil {
		// With its namespace, all that is to go has gone.
		comes := slices.IndexFunc(run, func(c netstate.Change) bool {
			return c.Verb != netstate.Delete && c.Verb != netstate.Remove
		})
		if comes < 0 && errors.Is(err, cnm.NotFound) {
			return nil
		}
		return changeError(run[max(comes, 0)], err)
	}
	if stageOf(run[0]) == stageDelete {
		if err := a.flush(); err != nil {
			return err
		}
		return a.deleteLinks(run)
	}
	return a.applyPackets(run)
}

// enter makes sure that space is the one of that name.
func (a *application) enter(name string) error {
	if a.space != nil && a.space.name == name {
		return nil
	}
	if err := a.flush(); err != nil {
		return err
	}
	a.leave()
	s, err := a.h.space(name)
	if err != nil {
		return err
	}
	a.space = s
	return nil
}

func (a *application) leave() {
	if a.space != nil {
		a.space.release()
		a.space = nil
	}
}

// add lets a step wait for its datagram.
func (a *application) add(s step, isMark bool) {
	a.marksOnly = isMark && (a.marksOnly || len(a.steps) == 0)
	a.steps = append(a.steps, s)
}

// flush takes the steps and reports the first that was refused.
func (a *application) flush() error {
	steps := a.steps
	a.steps, a.marksOnly = nil, false
	for packet := range slices.Chunk(steps, rtnl.MaxRequests) {
		requests := make([]rtnl.Request, len(packet))
		for i, s := range packet {
			requests[i] = s.request
		}
		errs, err := a.space.conn.ExecuteAll(a.ctx, requests...)
		if err != nil {
			return changeError(packet[0].change, err)
		}
		for i, err := range errs {
			switch {
			case err == nil, packet[i].tolerate != nil && packet[i].tolerate(err):
				continue
			case packet[i].feature != "" && unknown(err):
				err = Absent(packet[i].feature)
			case packet[i].explain != nil:
				err = packet[i].explain(err)
			}
			return changeError(packet[i].change, err)
		}
	}
	return nil
}

func (a *application) writeSysctls(run netstate.Changes) error {
	if !a.marksOnly {
		if err := a.flush(); err != nil {
			return err
		}
	}
	s, err := a.h.space(run[0].Namespace)
	if err != nil {
		return changeError(run[0], err)
	}
	defer s.release()
	for _, c := range run {
		if err := a.ctx.Err(); err != nil {
			return changeError(c, cnm.E("", cnm.Timeout, err))
		}
		setting := c.Object.(netstate.Sysctl)
		err := a.h.writeSysctl(s, setting)
		if err != nil && (!setting.Optional || !errors.Is(err, cnm.NotFound)) {
			return changeError(c, err)
		}
	}
	return nil
}

// writeSysctl warns of a change that reaches beyond what is ours.
func (h *host) writeSysctl(s *space, setting netstate.Sysctl) error {
	if setting.Warning == "" {
		return s.sysctls.Write(setting.Key, setting.Value)
	}
	before, err := s.sysctls.Read(setting.Key)
	if err != nil || before == setting.Value {
		return err
	}
	if err := s.sysctls.Write(setting.Key, setting.Value); err != nil {
		return err
	}
	h.log.Warn(setting.Warning, "sysctl", setting.Key, "before", before, "now", setting.Value)
	return nil
}

// filter changes the packet filter, all at once.
func (a *application) filter(run netstate.Changes) error {
	if err := a.h.firewall.apply(a.ctx, run); err != nil {
		return changeError(run[0], err)
	}
	return nil
}

// changeError names the change, unless the error names one. What the kernel says
// gets its kind here.
func changeError(c netstate.Change, err error) error {
	var named *applyError
	if errors.As(err, &named) {
		return err
	}
	var refused *rtnl.RequestError
	if errors.As(err, &refused) {
		err = errno.Wrap("", err)
	}
	return cnm.E("apply", cnm.KindOf(err), &applyError{c, err})
}

// applyError is what went wrong with a change.
type applyError struct {
	change netstate.Change
	cause  error
}

// Error returns "change: cause".
func (e *applyError) Error() string { return fmt.Sprintf("%s: %s", e.change, e.cause) }

// Unwrap returns the cause.
func (e *applyError) Unwrap() error { return e.cause }

// gone reports whether the kernel says that what a request is about is not there.
func gone(err error) bool {
	return errors.Is(err, unix.ENODEV) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) ||
		errors.Is(err, unix.EADDRNOTAVAIL)
}

// links returns those of the names that exist.
func (s *space) links(ctx context.Context, names []string) (map[string]rtnl.Link, error) {
	out := make(map[string]rtnl.Link, len(names))
	if len(names) == 0 {
		return out, nil
	}
	found := make([]rtnl.Link, len(names))
	requests := make([]rtnl.Request, len(names))
	for i, name := range names {
		requests[i] = rtnl.GetLink(name, &found[i])
	}
	errs, err := s.conn.ExecuteAll(ctx, requests...)
	if err != nil {
		return nil, err
	}
	for i, err := range errs {
		switch {
		case err == nil && found[i].Index > 0:
			out[names[i]] = found[i]
		case err != nil && !gone(err):
			return nil, errno.Wrap("", err)
		}
	}
	return out, nil
}
