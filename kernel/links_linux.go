package kernel

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
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
		owner, _, _ = strings.Cut(owner, adoptedFrom)
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

// applyLink takes a change to a link other than its deletion.
func (a *application) applyLink(c netstate.Change, link netstate.Link) error {
	switch c.Verb {
	case netstate.Create:
		return a.createLink(c, link)
	case netstate.Update:
		return a.updateLink(c, link)
	default:
		return a.raiseLink(c, link)
	}
}

func (a *application) updateLink(c netstate.Change, link netstate.Link) error {
	attributes := a.h.attributes(c.Owner, link)
	existing, known := a.known[a.key(link.Name)]
	if _, ours := a.h.owner(existing); link.Adopt && known && !ours {
		return nil // somebody else's: as it stands
	}
	if err := a.setMaster(&attributes, link); err != nil {
		return err
	}
	a.dropSameMAC(&attributes, link)
	a.add(step{change: c, request: rtnl.SetLink(link.Name, attributes)}, false)
	if link.Master != "" {
		a.add(step{change: c, request: rtnl.SetBridgePort(link.Name, portOf(link))}, false)
	}
	if known && attributes.Alias != "" {
		existing.Alias = attributes.Alias
		a.known[a.key(link.Name)] = existing
	}
	return nil
}

func portOf(link netstate.Link) rtnl.BridgePort {
	return rtnl.BridgePort{Isolated: link.Isolated, Hairpin: link.Hairpin}
}

// dropSameMAC leaves alone a MAC address that is right, since setting it empties the
// neighbour tables.
func (a *application) dropSameMAC(out *rtnl.Attributes, link netstate.Link) {
	if bytes.Equal(a.known[a.key(link.Name)].MAC, out.MAC) {
		out.MAC = nil
	}
}

// attributes returns what a link asks for, but for the master.
func (h *host) attributes(owner string, link netstate.Link) rtnl.Attributes {
	out := rtnl.Attributes{MAC: link.MAC.HardwareAddr(), MTU: link.MTU}
	if link.Kind == netstate.Existing {
		return out
	}
	out.Alias = h.mark + owner
	if link.Kind == netstate.Adopted {
		out.Alias += adoptedFrom + link.Source
	}
	if h.ipv6 {
		out.NoIPv6 = &link.NoIPv6
	}
	if out.MTU == 0 && link.Parent == "" && link.Kind != netstate.Adopted {
		out.MTU = netstate.DefaultMTU
	}
	return out
}

// setMaster adds the master that a link asks for, which must be known.
func (a *application) setMaster(out *rtnl.Attributes, link netstate.Link) error {
	if link.Kind == netstate.Existing || link.Kind != netstate.Veth && link.Master == "" {
		return nil
	}
	master, ok := a.known[a.key(link.Master)]
	if link.Master != "" && !ok {
		return cnm.E("", cnm.NotFound, fmt.Errorf("bridge %q: does not exist", link.Master))
	}
	out.Master = &master.Index
	return nil
}

// createLink makes a link and lets its mark wait for the next datagram: had the name
// been taken, the mark would land on somebody else's link. The master is looked up
// in the datagram that makes the link, and set with the mark.
func (a *application) createLink(c netstate.Change, link netstate.Link) error {
	if !a.marksOnly {
		if err := a.flush(); err != nil {
			return err
		}
	}
	attributes := a.h.attributes(c.Owner, link)
	err := a.makeLink(link, attributes)
	taken := errors.Is(err, unix.EEXIST)
	switch {
	case taken:
		adopted, err := a.checkExisting(c.Owner, link)
		if adopted || err != nil {
			return err
		}
	case err != nil:
		return err
	}
	a.dropSameMAC(&attributes, link)
	if err := a.setMaster(&attributes, link); err != nil {
		if taken {
			return err
		}
		return errors.Join(err, a.unmake(link))
	}
	a.add(step{change: c, request: rtnl.SetLink(link.Name, attributes)}, true)
	// A port that has just been made is nothing special.
	if link.Isolated || link.Hairpin || taken && link.Master != "" {
		a.add(step{change: c, request: rtnl.SetBridgePort(link.Name, portOf(link))}, true)
	}
	return nil
}

// makeLink makes the link and gets to know it, its peer and its master.
func (a *application) makeLink(link netstate.Link, attributes rtnl.Attributes) error {
	switch {
	case link.Parent != "":
		return a.makeParented(link, attributes)
	case link.Kind == netstate.Adopted:
		return a.adopt(link, attributes)
	}
	request, release, err := a.newLink(link, attributes)
	if err != nil {
		return err
	}
	defer release()
	var made, master rtnl.Link
	requests := []rtnl.Request{request, rtnl.GetLink(link.Name, &made)}
	if _, known := a.known[a.key(link.Master)]; link.Master != "" && !known {
		requests = append(requests, rtnl.GetLink(link.Master, &master))
	}
	errs, err := a.space.conn.ExecuteAll(a.ctx, requests...)
	if err != nil {
		return err
	}
	if master.Index != 0 {
		a.known[a.key(link.Master)] = master
	}
	if errors.Is(errs[0], unix.EOPNOTSUPP) {
		return Absent(Feature(link.Kind))
	}
	if err := cmp.Or(errs[0], errs[1]); err != nil {
		return err
	}
	// Both ends are ours from now on, as far as the rest of the changes goes.
	made.Alias = attributes.Alias
	a.known[a.key(link.Name)] = made
	if link.Peer.Name != "" {
		a.known[link.Peer] = rtnl.Link{Index: made.Peer, Name: link.Peer.Name, Kind: made.Kind, Alias: attributes.Alias}
	}
	return nil
}

// newLink returns the request that makes a link. Release is called when it has been
// sent.
func (a *application) newLink(link netstate.Link, attributes rtnl.Attributes) (request rtnl.Request, release func(), err error) {
	switch link.Kind {
	case netstate.Bridge:
		// A bridge follows the smallest MTU among its ports until its own has been
		// changed (br_mtu_auto_adjust in net/bridge/br_if.c). So it is made with
		// another one, and the update that comes next is a change.
		attributes.MTU ^= 1
		return rtnl.NewBridge(link.Name, attributes), func() {}, nil
	case netstate.Veth:
		if link.Peer.Name == "" {
			return request, nil, cnm.E("", cnm.Invalid, errors.New("this end of a pair is born with its peer, and cannot be made by itself"))
		}
		peer, err := a.h.space(link.Peer.Namespace)
		if err != nil {
			return request, nil, err
		}
		return rtnl.NewVeth(link.Name, attributes, link.Peer.Name, peer.namespace.FD()), peer.release, nil
	case netstate.Dummy, netstate.IFB:
		return rtnl.NewPlain(link.Name, attributes, link.Kind), func() {}, nil
	}
	return request, nil, cnm.E("", cnm.Unsupported, fmt.Errorf("link %q: cannot make one of kind %q", link.Name, link.Kind))
}

// unmake takes back what makeLink made for a link that cannot be completed.
func (a *application) unmake(link netstate.Link) error {
	made := a.known[a.key(link.Name)]
	delete(a.known, a.key(link.Name))
	delete(a.known, link.Peer)
	err := a.space.conn.Execute(a.ctx, rtnl.DeleteLink(made.Index))
	if err != nil && gone(err) {
		return nil
	}
	return err
}

// checkExisting looks at what stands where a link was to be made. An error is nil if
// it may pass for the link, and adopted is true if it is to stay as it stands.
func (a *application) checkExisting(owner string, link netstate.Link) (adopted bool, err error) {
	if err := a.lookUp([]string{link.Name}); err != nil {
		return false, err
	}
	existing, ok := a.known[a.key(link.Name)]
	_, ours := a.h.owner(existing)
	switch {
	case !ok:
		// It was the peer's name that is taken.
		return false, cnm.E("", cnm.Exists, fmt.Errorf("link %q: exists in namespace %q; choose another name", link.Peer.Name, link.Peer.Namespace))
	case existing.Kind == string(link.Kind) && a.h.mayTake(existing, owner):
		return false, nil
	case link.Adopt && (link.Kind == netstate.VLAN || existing.Kind == string(link.Kind)) && !ours:
		return true, nil
	}
	return false, cnm.E("", cnm.Exists, fmt.Errorf("link %q: exists and is not ours; remove it or choose another name", link.Name))
}

// deleteLinks deletes those links that are ours.
func (a *application) deleteLinks(run netstate.Changes) error {
	var names []string
	run = slices.Clone(run)
	for i, c := range run {
		link := c.Object.(netstate.Link)
		if link.Kind == netstate.Adopted {
			if err := a.giveBack(c, link); err != nil {
				return changeError(c, err)
			}
			continue
		}
		run[len(names)] = run[i]
		names = append(names, link.Name)
	}
	if run = run[:len(names)]; len(run) == 0 {
		return nil
	}
	links, err := a.space.links(a.ctx, names)
	if err != nil {
		return changeError(run[0], err)
	}
	var ours []int
	var first netstate.Change
	for i, c := range run {
		link, ok := links[names[i]]
		if !ok || !a.h.mayTake(link, c.Owner) || slices.Contains(ours, link.Index) {
			continue
		}
		if len(ours) == 0 {
			first = c
		}
		ours = append(ours, link.Index)
	}
	if len(ours) == 0 {
		return nil
	}
	// The other ends of pairs go too.
	clear(a.known)
	d, err := a.h.reaper.start(a.ctx, a.space, ours)
	if err == nil {
		err = d.wait(a.ctx)
	}
	if err != nil {
		return changeError(first, err)
	}
	return nil
}
