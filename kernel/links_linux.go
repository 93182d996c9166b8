package kernel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// owner returns whose the link is, if it is ours. The owner of a link whose alias
// could not be written any more is unknown, and empty.
func (h *host) owner(link rtnl.Link) (owner string, ours bool) {
	if owner, ok := strings.CutPrefix(link.Alias, h.mark); ok {
		return owner, true
	}
	return "", link.Alias == "" && link.Group == rtnl.Group
}

// mayTake reports whether a link that is there already may pass for one that the
// owner is to make, or to delete.
func (h *host) mayTake(link rtnl.Link, owner string) bool {
	found, ours := h.owner(link)
	return ours && (found == owner || found == "")
}

// applyLinks makes links one by one, since one may be the master of the next, and
// changes and raises the others together.
func (h *host) applyLinks(ctx context.Context, s *space, run netstate.Changes) error {
	for len(run) > 0 && run[0].Verb == netstate.Create {
		if err := h.createLink(ctx, s, run[0], run[0].Object.(netstate.Link)); err != nil {
			return changeError(run[0], err)
		}
		run = run[1:]
	}
	masters, err := s.links(ctx, mastersOf(run))
	if err != nil {
		return changeError(run[0], err)
	}
	var steps []step
	for _, c := range run {
		link := c.Object.(netstate.Link)
		switch c.Verb {
		case netstate.Create:
			if err := execute(ctx, s, steps); err != nil {
				return err
			}
			return h.applyLinks(ctx, s, run[len(steps):])
		case netstate.Raise:
			steps = append(steps, step{change: c, request: rtnl.SetLink(link.Name, rtnl.Attributes{Up: true})})
		case netstate.Update:
			attributes, err := h.attributes(link, c.Owner, masters)
			if err != nil {
				return changeError(c, err)
			}
			steps = append(steps, step{change: c, request: rtnl.SetLink(link.Name, attributes)})
		}
	}
	return execute(ctx, s, steps)
}

func mastersOf(run netstate.Changes) map[string]bool {
	names := make(map[string]bool)
	for _, c := range run {
		if link := c.Object.(netstate.Link); link.Master != "" && c.Verb != netstate.Raise {
			names[link.Master] = true
		}
	}
	return names
}

// attributes returns what a link asks for.
func (h *host) attributes(link netstate.Link, owner string, masters map[string]rtnl.Link) (rtnl.Attributes, error) {
	a := rtnl.Attributes{MAC: link.MAC.HardwareAddr(), MTU: link.MTU}
	if link.Kind == netstate.Existing {
		return a, nil
	}
	a.Alias = h.mark + owner
	if h.ipv6 {
		a.NoIPv6 = &link.NoIPv6
	}
	if a.MTU == 0 {
		a.MTU = netstate.DefaultMTU
	}
	if link.Kind == netstate.Veth || link.Master != "" {
		master, ok := masters[link.Master]
		if link.Master != "" && !ok {
			return a, cnm.E("", cnm.NotFound, fmt.Errorf("bridge %q: does not exist", link.Master))
		}
		a.Master = &master.Index
	}
	return a, nil
}

// createLink makes a link and then, in a request of its own, writes the mark: had
// the name been taken, the mark would land on somebody else's link.
func (h *host) createLink(ctx context.Context, s *space, c netstate.Change, link netstate.Link) error {
	masters, err := s.links(ctx, mastersOf(netstate.Changes{c}))
	if err != nil {
		return err
	}
	attributes, err := h.attributes(link, c.Owner, masters)
	if err != nil {
		return err
	}
	request, err := h.newLink(link, attributes)
	if err != nil {
		return err
	}
	err = s.conn.Execute(ctx, request)
	if errors.Is(err, unix.EEXIST) {
		var adopted bool
		if adopted, err = h.checkExisting(ctx, s, c.Owner, link); adopted {
			return err
		}
	}
	if err != nil {
		return err
	}
	return s.conn.Execute(ctx, rtnl.SetLink(link.Name, attributes))
}

func (h *host) newLink(link netstate.Link, attributes rtnl.Attributes) (rtnl.Request, error) {
	switch link.Kind {
	case netstate.Bridge:
		// Set after the bridge was made, so that the kernel does not follow its ports.
		attributes.MTU = 0
		return rtnl.NewBridge(link.Name, attributes), nil
	case netstate.Veth:
		if link.Peer.Name == "" {
			return rtnl.Request{}, cnm.E("", cnm.Invalid, errors.New("this end of a pair is born with its peer, and cannot be made by itself"))
		}
		peer, err := h.space(link.Peer.Namespace)
		if err != nil {
			return rtnl.Request{}, err
		}
		return rtnl.NewVeth(link.Name, attributes, link.Peer.Name, peer.namespace.FD()), nil
	}
	return rtnl.Request{}, cnm.E("", cnm.Unsupported, fmt.Errorf("link %q: cannot make one of kind %q", link.Name, link.Kind))
}

// checkExisting looks at what stands where a link was to be made.
func (h *host) checkExisting(ctx context.Context, s *space, owner string, link netstate.Link) (adopted bool, err error) {
	found, err := s.links(ctx, map[string]bool{link.Name: true})
	if err != nil {
		return false, err
	}
	existing, ok := found[link.Name]
	switch {
	case !ok:
		// It was the peer's name that is taken.
		return false, cnm.E("", cnm.Exists, fmt.Errorf("link %q: exists in namespace %q", link.Peer.Name, link.Peer.Namespace))
	case existing.Kind == string(link.Kind) && h.mayTake(existing, owner):
		return false, nil
	case link.Adopt && existing.Kind == string(netstate.Bridge):
		if _, ours := h.owner(existing); !ours {
			return true, nil
		}
	}
	return false, cnm.E("", cnm.Exists, fmt.Errorf("link %q: exists and is not ours; remove it or choose another name", link.Name))
}

// deleteLinks deletes those links that are ours.
func (h *host) deleteLinks(ctx context.Context, s *space, run netstate.Changes) error {
	names := make(map[string]bool)
	for _, c := range run {
		names[c.Object.(netstate.Link).Name] = true
	}
	links, err := s.links(ctx, names)
	if err != nil {
		return changeError(run[0], err)
	}
	var pending []*deletion
	var pendingChanges []netstate.Change
	for _, c := range run {
		link, ok := links[c.Object.(netstate.Link).Name]
		if ok && h.mayTake(link, c.Owner) {
			pending = append(pending, h.reaper.start(s, link.Index))
			pendingChanges = append(pendingChanges, c)
		}
	}
	var first error
	for i, d := range pending {
		if err := d.wait(ctx); err != nil && first == nil {
			first = changeError(pendingChanges[i], err)
		}
	}
	return first
}
