package netstate

import (
	"cmp"
	"slices"
	"strings"
)

// Diff returns the changes that lead from one list of parts to another. From is
// either what was wished before or what has been observed; To is a wish.
//
// The order is exact. First sysctls that go back, since the packet filter may guard what
// they allow. Then the packet filter, what goes and then what comes, so that nothing is
// reachable before its filter stands and nothing is sent to what is gone.
// Then what goes: in each container's namespace and then on
// the host, routes, neighbours, addresses and limits; then links, ports before their
// bridges, and what hangs on a parent before the parent. Then what comes: links,
// bridges and parents first; sysctls, which must hold before
// a link is up; then for the host and for each container's namespace updates of
// links, limits, links brought up, addresses, neighbours, and routes, direct ones before
// those that need a gateway.
//
// Deleting a link takes its addresses, routes, neighbours and limits with it, so these
// are not removed one by one, but from a link with Adopt, which may stay. A link is
// deleted and made anew only if its kind, its peer, its parent, or how it hangs on that
// differs. Removing an IPv4 address can take other addresses of its
// subnet and routes of its link with it: those that shall stay are added again,
// which does nothing where they stand.
//
// What has no owner is never deleted or removed. Only where a wish needs its place,
// as with a route to the same destination, is it replaced.
func Diff(from, to []Part) Changes {
	d := &differ{
		from:  newIndex(from),
		to:    newIndex(to),
		gone:  make(map[linkKey]bool),
		fresh: make(map[linkKey]bool),
	}
	d.classify()
	d.takeBackSysctls()
	d.changeIntents()
	d.removeAll()
	d.deleteLinks()
	d.createLinks()
	d.writeSysctls()
	d.completeAll()
	return d.out
}

type differ struct {
	from, to *index
	// gone holds links of from that do not survive, whatever comes in their place;
	// deletes are those of them that need a change of their own.
	gone    map[linkKey]bool
	deletes []owned[Link]
	// fresh holds links of to that are not there before; born ones among them come
	// with their creator.
	fresh map[linkKey]bool
	out   Changes
}

func (d *differ) emit(c Change) { d.out = append(d.out, c) }

// classify fills gone, deletes and fresh.
func (d *differ) classify() {
	for _, key := range d.to.links.keys {
		if !d.survives(key) {
			d.fresh[key] = true
		}
	}
	d.refreshHanging()
	// A pair lives and dies as one.
	for born, creator := range d.to.creator {
		if d.fresh[born] || d.fresh[creator] {
			d.fresh[born], d.fresh[creator] = true, true
		}
	}
	for _, key := range d.from.links.keys {
		row := d.from.links.rows[key]
		_, wished := d.to.links.get(key)
		if row.owner == "" || row.object.Kind == Existing || wished && !d.fresh[key] {
			continue
		}
		d.gone[key] = true
	}
	// One end deletes both, so the other needs no change, and has gone whether or
	// not it was listed.
	for _, key := range d.from.links.keys {
		if !d.gone[key] {
			continue
		}
		if creator, ok := d.from.creator[key]; ok && d.gone[creator] {
			continue
		}
		row := d.from.links.rows[key]
		d.deletes = append(d.deletes, row)
		if row.object.Peer.Name != "" {
			d.gone[row.object.Peer] = true
		}
	}
}

// refreshHanging makes fresh what hangs on a fresh parent: it went with the one before.
// Parents may hang on others.
func (d *differ) refreshHanging() {
	for range d.to.links.keys {
		before := len(d.fresh)
		for _, key := range d.to.links.keys {
			if parent := d.to.links.rows[key].object.Parent; parent != "" && d.fresh[linkKey{"", parent}] {
				d.fresh[key] = true
			}
		}
		if len(d.fresh) == before {
			return
		}
	}
}

// survives reports whether the wished link is there already, as it is or to be
// updated.
func (d *differ) survives(key linkKey) bool {
	want := d.to.links.rows[key].object
	have, ok := d.from.links.get(key)
	switch {
	case want.Kind == Existing:
		return true
	case !ok:
		return false
	case have.owner == "":
		return want.Adopt && (have.object.Kind == want.Kind || want.Kind == VLAN)
	default:
		return rooted(have.object) == rooted(want)
	}
}

// rooted returns what a link cannot change.
func rooted(l Link) Link {
	return Link{Kind: l.Kind, Peer: l.Peer, Parent: l.Parent, Mode: l.Mode, Flag: l.Flag, VLANID: l.VLANID}
}

// takeBackSysctls writes what a sysctl is to be when its owner has gone.
func (d *differ) takeBackSysctls() {
	for _, key := range d.from.sysctls.keys {
		row := d.from.sysctls.rows[key]
		if _, wished := d.to.sysctls.get(key); wished || row.object.After == "" {
			continue
		}
		row.object = Sysctl{Key: row.object.Key, Value: row.object.After, Optional: true}
		d.emit(row.change(Write))
	}
}

// changeIntents lists the changes of the packet filter side by side: a back end makes
// them at once.
func (d *differ) changeIntents() {
	for _, key := range d.from.intents.keys {
		if _, wished := d.to.intents.get(key); !wished && key.owner != "" {
			d.emit(d.from.intents.rows[key].change(Remove))
		}
	}
	for _, key := range d.to.intents.keys {
		if _, ok := d.from.intents.get(key); !ok {
			d.emit(d.to.intents.rows[key].change(Add))
		}
	}
}

// removeAll takes away what is no longer wished on links that stay.
func (d *differ) removeAll() {
	for _, namespace := range hostLast(d.from.namespaces()) {
		d.removeRoutes(namespace)
		for _, key := range d.from.neighbors.keys {
			row := d.from.neighbors.rows[key]
			if _, wished := d.to.neighbors.get(key); d.removable(row.owner, row.namespace, namespace, key.link) && !wished {
				d.emit(row.change(Remove))
			}
		}
		for _, key := range d.from.addrs.keys {
			row := d.from.addrs.rows[key]
			if _, wished := d.to.addrs.get(key); d.removable(row.owner, row.namespace, namespace, key.link) && !wished {
				d.emit(row.change(Remove))
			}
		}
		for _, key := range d.from.limits.keys {
			row := d.from.limits.rows[key]
			if _, wished := d.to.limits.get(key); d.removable(row.owner, row.namespace, namespace, key.link) && !wished {
				d.emit(row.change(Remove))
			}
		}
	}
}

// removeRoutes leaves a route whose place another takes: adding replaces it, and
// the destination is never without a route.
func (d *differ) removeRoutes(namespace string) {
	var rows []owned[Route]
	for _, key := range d.from.routes.keys {
		row := d.from.routes.rows[key]
		link := linkKey{row.namespace, row.object.Link}
		if _, wished := d.to.routes.get(key); d.removable(row.owner, row.namespace, namespace, link) && !wished {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, func(a, b owned[Route]) int { return -byGateway(a, b) })
	for _, row := range rows {
		d.emit(row.change(Remove))
	}
}

// removable reports whether something of ours on a link is in the namespace and needs
// to be removed by itself. What is on a link that is deleted goes with it, unless the
// link may turn out to be adopted, and stay.
func (d *differ) removable(owner, itsNamespace, namespace string, link linkKey) bool {
	return owner != "" && itsNamespace == namespace && (!d.gone[link] || d.from.links.rows[link].object.Adopt)
}

func (d *differ) deleteLinks() {
	slices.SortStableFunc(d.deletes, func(a, b owned[Link]) int { return -basesFirst(a, b) })
	for _, row := range d.deletes {
		d.emit(row.change(Delete))
	}
}

// createLinks makes what is fresh; the born end of a pair comes with its creator.
func (d *differ) createLinks() {
	var rows []owned[Link]
	for _, key := range d.to.links.keys {
		if _, born := d.to.creator[key]; d.fresh[key] && !born {
			rows = append(rows, d.to.links.rows[key])
		}
	}
	slices.SortStableFunc(rows, basesFirst)
	for _, row := range rows {
		d.emit(row.change(Create))
	}
}

// writeSysctls writes what differs, and what belongs on a fresh link.
func (d *differ) writeSysctls() {
	for _, key := range d.to.sysctls.keys {
		row := d.to.sysctls.rows[key]
		have, ok := d.from.sysctls.get(key)
		if !ok || have.object.Value != row.object.Value || d.namesFreshLink(key) {
			d.emit(row.change(Write))
		}
	}
}

// namesFreshLink reports whether a component of the key is a fresh link's name,
// as in net/ipv4/conf/eth0/forwarding. No link's name holds a slash.
func (d *differ) namesFreshLink(key sysctlKey) bool {
	for component := range strings.SplitSeq(key.key, "/") {
		if d.fresh[linkKey{key.namespace, component}] {
			return true
		}
	}
	return false
}

// completeAll does what remains, one namespace after the other, so that each
// needs one exchange with the kernel. The host comes first: its end of a pair must
// be up for the other to have a carrier.
func (d *differ) completeAll() {
	for _, namespace := range d.to.namespaces() {
		d.updateLinks(namespace)
		d.addLimits(namespace)
		d.raiseLinks(namespace)
		d.addAddrs(namespace)
		for _, key := range d.to.neighbors.keys {
			row := d.to.neighbors.rows[key]
			have, ok := d.from.neighbors.get(key)
			if row.namespace == namespace && (!ok || have.object != row.object || d.lost(key.link) || d.macChanged(key.link)) {
				d.emit(row.change(Add))
			}
		}
		d.addRoutes(namespace)
	}
}

// lost reports whether what was on the link before is no longer there.
func (d *differ) lost(link linkKey) bool { return d.gone[link] || d.fresh[link] }

// macChanged reports whether the link gets another MAC address, with which the kernel
// forgets its neighbours.
func (d *differ) macChanged(link linkKey) bool {
	have, ok := d.from.links.get(link)
	want, wished := d.to.links.get(link)
	return ok && wished && !want.object.MAC.IsZero() && want.object.MAC != have.object.MAC
}

func (d *differ) updateLinks(namespace string) {
	for _, key := range d.to.links.keys {
		row := d.to.links.rows[key]
		if row.namespace == namespace && d.needsUpdate(key, row) {
			d.emit(row.change(Update))
		}
	}
}

func (d *differ) needsUpdate(key linkKey, row owned[Link]) bool {
	if d.fresh[key] {
		_, born := d.to.creator[key]
		return born
	}
	want := row.object
	have, ok := d.from.links.get(key)
	if !ok {
		// An existing link that was never looked at: set what is asked for.
		return want.MTU != 0 || !want.MAC.IsZero() || want.Master != ""
	}
	if have.owner == "" && want.Kind != Existing {
		return false
	}
	if !want.MAC.IsZero() && want.MAC != have.object.MAC {
		return true
	}
	if want.Kind == Existing || want.Adopt {
		return want.MTU != 0 && want.MTU != have.object.MTU
	}
	return mtuDiffers(want, have.object) || want.NoIPv6 != have.object.NoIPv6 || want.Isolated != have.object.Isolated || want.Hairpin != have.object.Hairpin || want.Master != have.object.Master ||
		row.owner != have.owner || d.lost(linkKey{row.namespace, want.Master})
}

func mtu(l Link) int { return cmp.Or(l.MTU, DefaultMTU) }

// mtuDiffers reports whether a link is to get another MTU. What hangs on a parent
// follows that by itself, unless it asks for less.
func mtuDiffers(want, have Link) bool {
	return mtu(want) != mtu(have) && (want.MTU != 0 || want.Parent == "")
}

func (d *differ) addLimits(namespace string) {
	for _, key := range d.to.limits.keys {
		row := d.to.limits.rows[key]
		have, ok := d.from.limits.get(key)
		if row.namespace == namespace && (!ok || have.object != row.object || d.lost(key.link) || d.lost(linkKey{namespace, row.object.Through})) {
			d.emit(row.change(Add))
		}
	}
}

func (d *differ) raiseLinks(namespace string) {
	var rows []owned[Link]
	for _, key := range d.to.links.keys {
		row := d.to.links.rows[key]
		if row.namespace != namespace || row.object.Handover {
			continue
		}
		if have, ok := d.from.links.get(key); d.fresh[key] || !ok || have.object.Down {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, basesFirst)
	for _, row := range rows {
		d.emit(row.change(Raise))
	}
}

func (d *differ) addAddrs(namespace string) {
	for _, key := range d.to.addrs.keys {
		row := d.to.addrs.rows[key]
		if row.namespace != namespace {
			continue
		}
		if _, ok := d.from.addrs.get(key); !ok || d.lost(key.link) || d.subnetRemoved(key) {
			d.emit(row.change(Add))
		}
	}
}

// subnetRemoved reports whether an address of the same IPv4 subnet and link is
// removed: if that was the primary one, its secondaries go with it.
func (d *differ) subnetRemoved(key addrKey) bool {
	if !key.prefix.Addr().Is4() {
		return false
	}
	return d.anyAddrRemoved(key.link, func(other addrKey) bool {
		return other.prefix.Masked() == key.prefix.Masked()
	})
}

func (d *differ) anyAddrRemoved(link linkKey, match func(addrKey) bool) bool {
	return slices.ContainsFunc(d.from.addrs.keys, func(key addrKey) bool {
		_, wished := d.to.addrs.get(key)
		return key.link == link && !wished && d.from.addrs.rows[key].owner != "" && match(key)
	})
}

func (d *differ) addRoutes(namespace string) {
	var rows []owned[Route]
	for _, key := range d.to.routes.keys {
		row := d.to.routes.rows[key]
		if row.namespace != namespace {
			continue
		}
		have, ok := d.from.routes.get(key)
		if !ok || have.object != row.object || d.routeLost(row) {
			rows = append(rows, row)
		}
	}
	slices.SortStableFunc(rows, byGateway)
	for _, row := range rows {
		d.emit(row.change(Add))
	}
}

// routeLost reports whether the route went with its link, or may have gone with
// the link's last IPv4 address.
func (d *differ) routeLost(row owned[Route]) bool {
	link := linkKey{row.namespace, row.object.Link}
	if d.lost(link) {
		return true
	}
	return row.object.Destination.Addr().Is4() && d.anyAddrRemoved(link, func(key addrKey) bool {
		return key.prefix.Addr().Is4()
	})
}

// hostLast moves the host from the front of sorted namespaces to the end.
func hostLast(namespaces []string) []string {
	if len(namespaces) > 0 && namespaces[0] == "" {
		return append(namespaces[1:], "")
	}
	return namespaces
}

// basesFirst puts what others need, bridges and parents, in front.
func basesFirst(a, b owned[Link]) int { return cmp.Compare(height(a.object), height(b.object)) }

// height says how much a link may stand on: a port on its bridge, a VLAN on a port.
func height(l Link) int {
	switch l.Kind {
	case Bridge, Dummy:
		return 0
	case VLAN:
		return 2
	case Macvlan, IPvlan:
		return 3
	}
	return 1
}

func byGateway(a, b owned[Route]) int {
	return cmp.Compare(rank(a.object.Gateway.IsValid()), rank(b.object.Gateway.IsValid()))
}

func rank(later bool) int {
	if later {
		return 1
	}
	return 0
}
