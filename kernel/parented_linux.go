package kernel

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// makeParented makes a link that hangs on one of the host, and gets to know it. It is
// born where it is to be: the host's socket names the parent by index, and the namespace
// by descriptor.
func (a *application) makeParented(link netstate.Link, attributes rtnl.Attributes) error {
	host, err := a.h.space("")
	if err != nil {
		return err
	}
	defer host.release()
	// What is there already decides before the parent does: one that is adopted may have
	// none.
	if _, ok := a.known[a.key(link.Name)]; !ok {
		if err := a.lookUp([]string{link.Name}); err != nil {
			return err
		}
	}
	if _, ok := a.known[a.key(link.Name)]; ok {
		return unix.EEXIST
	}
	parents, err := host.links(a.ctx, []string{link.Parent})
	if err != nil {
		return err
	}
	parent, ok := parents[link.Parent]
	if !ok {
		return cnm.E("", cnm.NotFound, fmt.Errorf("parent %q: there is no such link on the host", link.Parent))
	}
	load := netstate.Load{Kind: link.Kind, Mode: link.Mode, MTU: link.MTU}
	if err := a.checkParent(host, parent, load); err != nil {
		return err
	}
	parented := rtnl.Parented{Kind: link.Kind, Parent: parent.Index, Mode: link.Mode, Flag: link.Flag, VLANID: link.VLANID}
	made, err := a.bear(host, link.Name, attributes, parented)
	if err != nil {
		return explainParented(link, err)
	}
	made.Alias = attributes.Alias
	a.known[a.key(link.Name)] = made
	return nil
}

// bear makes the link in the space of the application. Kernels before 6.14 look for the
// name among the host's links too, and refuse one that is there; so it is born under
// another and renamed.
func (a *application) bear(host *space, name string, attributes rtnl.Attributes, p rtnl.Parented) (made rtnl.Link, err error) {
	if a.space.name == "" {
		errs, err := host.conn.ExecuteAll(a.ctx, rtnl.NewParented(name, attributes, p, -1), rtnl.GetLink(name, &made))
		if err != nil {
			return made, err
		}
		return made, firstError(errs)
	}
	interim := interimName(attributes.Alias, name)
	if err := a.unmakeInterim(interim); err != nil {
		return made, err
	}
	if err := host.conn.Execute(a.ctx, rtnl.NewParented(interim, attributes, p, a.space.namespace.FD())); err != nil {
		return made, err
	}
	var born rtnl.Link
	if err := a.space.conn.Execute(a.ctx, rtnl.GetLink(interim, &born)); err != nil {
		return made, err
	}
	errs, err := a.space.conn.ExecuteAll(a.ctx, rtnl.RenameLink(born.Index, name), rtnl.GetLink(name, &made))
	if err == nil {
		err = firstError(errs)
	}
	if err != nil {
		return made, errors.Join(err, a.space.conn.Execute(a.ctx, rtnl.DeleteLink(born.Index)))
	}
	return made, nil
}

// interimName depends on nothing but whose link it is and what it will be called, so that
// the next attempt finds what one that was killed has left.
func interimName(mark, name string) string {
	sum := sha256.Sum256([]byte(mark + "\x00" + name))
	return "lnw-" + hex.EncodeToString(sum[:5])
}

// unmakeInterim deletes what an attempt has left that did not come to the renaming.
func (a *application) unmakeInterim(interim string) error {
	left, err := a.space.links(a.ctx, []string{interim})
	if err != nil {
		return err
	}
	link, ok := left[interim]
	if _, ours := a.h.owner(link); !ok || !ours {
		return nil
	}
	err = a.space.conn.Execute(a.ctx, rtnl.DeleteLink(link.Index))
	if err != nil && gone(err) {
		return nil
	}
	return err
}

func firstError(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// explainParented says what the kernel means.
func explainParented(link netstate.Link, err error) error {
	switch {
	case errors.Is(err, unix.EOPNOTSUPP) && link.Mode == netstate.ModeL3S:
		return Absent(FeatureIPvlanL3S)
	case errors.Is(err, unix.EOPNOTSUPP):
		return Absent(Feature(link.Kind))
	case errors.Is(err, unix.EBUSY):
		return cnm.E("", cnm.Forbidden, fmt.Errorf("parent %q: is in use in a way that goes not with %s: "+
			"by links of another kind, or as a port of a bridge: %w", link.Parent, link.Kind, err))
	case errors.Is(err, unix.EINVAL) && link.Kind == netstate.Macvlan:
		return cnm.E("", cnm.Forbidden, fmt.Errorf("parent %q: has a macvlan link already, and in mode %q, of this one or of that, "+
			"there can be no other; use another parent or mode: %w", link.Parent, netstate.ModePassthru, err))
	case errors.Is(err, unix.EEXIST) && link.Kind == netstate.VLAN:
		return cnm.E("", cnm.Exists, fmt.Errorf("parent %q: has VLAN %d under another name; use that as the parent", link.Parent, link.VLANID))
	}
	return errno.Wrap("", err)
}

// checkParent refuses a parent that cannot carry the load, with the reason.
func (a *application) checkParent(host *space, parent rtnl.Link, load netstate.Load) error {
	refuse := func(kind cnm.Kind, format string, values ...any) error {
		return cnm.E("", kind, fmt.Errorf("parent %q: "+format, append([]any{parent.Name}, values...)...))
	}
	switch {
	case parent.Loop:
		return refuse(cnm.Invalid, "the loopback leads nowhere; choose another link")
	case !parent.Ethernet && load.Kind != netstate.VLAN:
		return refuse(cnm.Invalid, "is no Ethernet link, as %s needs; choose another", load.Kind)
	case load.MTU > parent.MTU:
		return refuse(cnm.Invalid, "its MTU is %d, and what hangs on it cannot have %d; ask for no more", parent.MTU, load.MTU)
	case parent.Master == 0 || load.Kind == netstate.VLAN:
		return nil
	}
	var master rtnl.Link
	if err := host.conn.Execute(a.ctx, rtnl.GetLinkByIndex(parent.Master, &master)); err != nil {
		return err
	}
	if slices.Contains([]string{"bridge", "bond", "team", "openvswitch"}, master.Kind) {
		return refuse(cnm.Forbidden, "is a port of the %s %q, which takes all that it receives; make that the parent", master.Kind, master.Name)
	}
	return nil
}

// raiseLink brings a link up. A VLAN cannot be up while its parent is down.
func (a *application) raiseLink(c netstate.Change, link netstate.Link) error {
	if link.Carries != (netstate.Load{}) {
		found, ok := a.known[a.key(link.Name)]
		if !ok {
			return cnm.E("", cnm.NotFound, fmt.Errorf("parent %q: there is no such link on the host", link.Name))
		}
		if err := a.checkParent(a.space, found, link.Carries); err != nil {
			return err
		}
	}
	up := rtnl.Attributes{Up: true}
	if link.Kind == netstate.VLAN && a.space.name == "" {
		a.add(step{change: c, request: rtnl.SetLink(link.Parent, up), tolerate: gone}, false)
	}
	s := step{change: c, request: rtnl.SetLink(link.Name, up)}
	if link.Kind == netstate.Macvlan {
		s.explain = func(err error) error {
			if !errors.Is(err, unix.EADDRINUSE) {
				return err
			}
			return cnm.E("", cnm.Exists, fmt.Errorf("MAC address %q: the parent %q or another link on it has it; choose another or none", link.MAC, link.Parent))
		}
	}
	a.add(s, false)
	return nil
}

// hangs reports whether a link has a parent.
func hangs(link rtnl.Link) bool {
	return slices.Contains([]string{string(netstate.Macvlan), string(netstate.IPvlan), string(netstate.VLAN)}, link.Kind)
}

// parentOf returns the name of the host's link that one hangs on; empty for one of
// another namespace than the host's.
func (p *peerFinder) parentOf(namespace string, link rtnl.Link) string {
	if namespace == "" && link.HasPeerNamespace {
		return ""
	}
	if host, ok := p.hostID[namespace]; namespace != "" && (!ok || !link.HasPeerNamespace || link.PeerNamespaceID != host) {
		return ""
	}
	for _, candidate := range p.links[""] {
		if candidate.Index == link.Peer {
			return candidate.Name
		}
	}
	return ""
}
