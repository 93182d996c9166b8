package kernel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// adoptedFrom stands, in the alias of a link that somebody else made, between its owner and
// the name that it had on the host. Neither holds blanks.
const adoptedFrom = " from "

// adopt moves a link of the host, under its new name, to where it is wished. It is marked
// before it moves, so that one which was on its way when we were killed can be found.
func (a *application) adopt(link netstate.Link, attributes rtnl.Attributes) error {
	if err := a.lookUp([]string{link.Name}); err != nil {
		return err
	}
	if there, ok := a.known[a.key(link.Name)]; ok {
		if there.Alias == attributes.Alias {
			return nil // it was moved before
		}
		return cnm.E("", cnm.Exists, fmt.Errorf("link %q: the container has another one of that name", link.Name))
	}
	host, err := a.h.space("")
	if err != nil {
		return err
	}
	defer host.release()
	found, err := host.links(a.ctx, []string{link.Source})
	if err != nil {
		return err
	}
	source, ok := found[link.Source]
	if !ok {
		return cnm.E("", cnm.NotFound, fmt.Errorf("link %q: is not on the host, where the network's driver was to make it", link.Source))
	}
	if err := a.checkAdoptable(host, source, attributes.Alias); err != nil {
		return err
	}
	err = host.conn.Execute(a.ctx, rtnl.SetLink(link.Source, rtnl.Attributes{Alias: attributes.Alias}))
	if err == nil {
		err = host.conn.Execute(a.ctx, rtnl.MoveLink(source.Index, link.Name, a.space.namespace.FD()))
	}
	var moved rtnl.Link
	if err == nil {
		err = a.space.conn.Execute(a.ctx, rtnl.GetLink(link.Name, &moved))
	}
	if err != nil {
		err = errno.Wrap(fmt.Sprintf("move link %q into the container", link.Source), err)
		return errors.Join(err, host.disown(context.WithoutCancel(a.ctx), link.Source))
	}
	a.known[a.key(link.Name)] = moved
	return nil
}

// checkAdoptable refuses links that the host, or somebody else, has a use for: whoever
// names them may be mistaken, or mean harm.
func (a *application) checkAdoptable(host *space, source rtnl.Link, alias string) error {
	refuse := func(why string) error {
		return cnm.E("", cnm.Forbidden, fmt.Errorf("link %q: %s; the network's driver must name one that it made for the container", source.Name, why))
	}
	_, ours := a.h.owner(source)
	switch {
	case source.Loop:
		return refuse("is the loopback")
	case source.Alias == alias:
		return nil // marked before we were killed
	case ours:
		return refuse("belongs to another network or endpoint")
	case source.Master != 0:
		return refuse("is a port of a bridge, or of another link")
	}
	addresses, err := host.conn.Addrs(a.ctx)
	if err != nil {
		return err
	}
	for _, address := range addresses {
		if address.Link == source.Index && !kernelMade(address) {
			return refuse("has an address of the host, " + address.Prefix.String())
		}
	}
	links, err := host.conn.Links(a.ctx)
	if err != nil {
		return err
	}
	for _, l := range links {
		// The kernel deletes a VLAN, or a macvlan, with the link that it hangs on, whatever addresses it has. The
		// two ends of a pair name each other, and that is no use of either.
		if l.Kind != string(netstate.Veth) && l.Peer == source.Index && !l.HasPeerNamespace {
			return refuse(fmt.Sprintf("link %q of the host hangs on it", l.Name))
		}
	}
	return nil
}

// disown takes our mark from a link that stays.
func (s *space) disown(ctx context.Context, name string) error {
	err := s.conn.Execute(ctx, rtnl.ClearAlias(name))
	if err != nil && gone(err) {
		return nil
	}
	return err
}

// giveBack moves an adopted link to the host again, under the name that it had there, and
// takes our mark away.
func (a *application) giveBack(c netstate.Change, link netstate.Link) error {
	found, err := a.space.links(a.ctx, []string{link.Name})
	if err != nil {
		return err
	}
	there, ok := found[link.Name]
	if !ok || there.Alias != a.h.attributes(c.Owner, link).Alias {
		return nil
	}
	delete(a.known, a.key(link.Name))
	if a.space.name == "" {
		return a.space.disown(a.ctx, link.Name)
	}
	host, err := a.h.space("")
	if err != nil {
		return err
	}
	defer host.release()
	name := link.Source
	taken, err := host.links(a.ctx, []string{name})
	if err != nil {
		return err
	}
	if _, ok := taken[name]; ok {
		name = interimName(there.Alias, name)
		a.h.log.Warn("a link goes back to the host under another name: its own is taken", "link", link.Source, "name", name)
	}
	err = a.space.conn.Execute(a.ctx, rtnl.MoveLink(there.Index, name, host.namespace.FD()))
	switch {
	case errors.Is(err, unix.ENODEV):
		return nil // it has gone by itself
	case err != nil:
		return errno.Wrap(fmt.Sprintf("move link %q back to the host", link.Name), err)
	}
	return host.disown(a.ctx, name)
}

// adoptedName returns what a link of ours was called on the host before it was adopted;
// empty if it was not.
func (h *host) adoptedName(link rtnl.Link) string {
	if !strings.HasPrefix(link.Alias, h.mark) {
		return ""
	}
	_, source, _ := strings.Cut(link.Alias, adoptedFrom)
	return source
}
