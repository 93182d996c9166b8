package netstate

import (
	"fmt"
	"strings"
)

// Verb says what a change does to its object.
type Verb string

// Verbs, with the objects they apply to. Each is idempotent as described, so that
// a list of changes that stopped half way can be applied again or taken back.
const (
	// Create makes a Link with all that it asks for, but down, and marks it with
	// the owner. The other end of a Veth is born with it, without a mark. A link of
	// that name that bears the same owner's mark is brought to what the Link asks
	// for; any other is an error, except with Adopt.
	Create Verb = "create"
	// Update sets MAC, MTU and Master of a Link, marks it with the owner, and
	// leaves alone what the Link does not ask for.
	Update Verb = "update"
	// Raise brings a Link up, a VLAN with its Parent, after a look at whether it can bear
	// what it Carries.
	Raise Verb = "raise"
	// Delete removes a Link that bears the owner's mark. One that is gone, or is
	// not ours, is no error and stays as it is.
	Delete Verb = "delete"
	// Add puts an Addr, Route, Neighbor, Limit or Intent in place, replacing what differs.
	Add Verb = "add"
	// Remove takes an Addr, Route, Neighbor, Limit or Intent of ours away; gone is no error.
	Remove Verb = "remove"
	// Write sets a Sysctl.
	Write Verb = "write"
)

// Object is what a change is about: a [Link], [Addr], [Route], [Neighbor], [Limit],
// [Sysctl] or [Intent].
type Object interface {
	fmt.Stringer
	object()
}

func (Link) object()     {}
func (Addr) object()     {}
func (Route) object()    {}
func (Neighbor) object() {}
func (Limit) object()    {}
func (Sysctl) object()   {}

// Change is one step.
type Change struct {
	Verb      Verb
	Owner     string
	Namespace string // empty is the host
	Object    Object
}

// String returns the change on one line, as in
// "host: add addr 172.18.0.1/16 dev br-1".
func (c Change) String() string {
	namespace := c.Namespace
	if namespace == "" {
		namespace = "host"
	}
	return fmt.Sprintf("%s: %s %s", namespace, c.Verb, c.Object)
}

// Changes is an ordered list of steps.
type Changes []Change

// String returns one change a line.
func (cs Changes) String() string {
	var b strings.Builder
	for _, c := range cs {
		b.WriteString(c.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// String returns the link as "link NAME KIND ...".
func (l Link) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "link %s %s", l.Name, l.Kind)
	if l.Peer != (Peer{}) {
		namespace := l.Peer.Namespace
		if namespace == "" {
			namespace = "host"
		}
		fmt.Fprintf(&b, " peer %s in %s", l.Peer.Name, namespace)
	}
	if l.Parent != "" {
		fmt.Fprintf(&b, " parent %s", l.Parent)
	}
	if l.Source != "" {
		fmt.Fprintf(&b, " from %s", l.Source)
	}
	if l.VLANID != 0 {
		fmt.Fprintf(&b, " id %d", l.VLANID)
	}
	if l.Mode != "" {
		fmt.Fprintf(&b, " mode %s", l.Mode)
	}
	if l.Flag != "" {
		fmt.Fprintf(&b, " flag %s", l.Flag)
	}
	if l.Master != "" {
		fmt.Fprintf(&b, " master %s", l.Master)
	}
	if !l.MAC.IsZero() {
		fmt.Fprintf(&b, " mac %s", l.MAC)
	}
	if l.MTU != 0 {
		fmt.Fprintf(&b, " mtu %d", l.MTU)
	}
	if l.Isolated {
		b.WriteString(" isolated")
	}
	if l.Hairpin {
		b.WriteString(" hairpin")
	}
	if l.NoIPv6 {
		b.WriteString(" noipv6")
	}
	if l.Adopt {
		b.WriteString(" adopt")
	}
	if l.Carries != (Load{}) {
		fmt.Fprintf(&b, " carries %s", l.Carries)
	}
	if l.Down {
		b.WriteString(" down")
	}
	return b.String()
}

// String returns the load as "KIND[:MODE[:FLAG]][:alone][:mtuN]".
func (l Load) String() string {
	text := string(l.Kind)
	if l.Mode != "" {
		text += ":" + string(l.Mode)
	}
	if l.Flag != "" {
		text += ":" + string(l.Flag)
	}
	if l.Alone {
		text += ":alone"
	}
	if l.MTU != 0 {
		text += fmt.Sprintf(":mtu%d", l.MTU)
	}
	return text
}

// String returns the address as "addr PREFIX dev LINK".
func (a Addr) String() string { return fmt.Sprintf("addr %s dev %s", a.Prefix, a.Link) }

// String returns the route as "route DESTINATION [via GATEWAY] dev LINK [metric N]".
func (r Route) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "route %s", r.Destination)
	if r.Gateway.IsValid() {
		fmt.Fprintf(&b, " via %s", r.Gateway)
	}
	fmt.Fprintf(&b, " dev %s", r.Link)
	if r.Metric != 0 {
		fmt.Fprintf(&b, " metric %d", r.Metric)
	}
	return b.String()
}

// String returns the entry as "neighbor IP lladdr MAC dev LINK".
func (n Neighbor) String() string {
	return fmt.Sprintf("neighbor %s lladdr %s dev %s", n.IP, n.MAC, n.Link)
}

// String returns the limit as "limit dev LINK [through IFB] rate BITS burst BYTES".
func (l Limit) String() string {
	through := ""
	if l.Through != "" {
		through = " through " + l.Through
	}
	return fmt.Sprintf("limit dev %s%s rate %d burst %d", l.Link, through, l.Rate, l.Burst)
}

// String returns the setting as "sysctl KEY = VALUE".
func (s Sysctl) String() string { return fmt.Sprintf("sysctl %s = %s", s.Key, s.Value) }
