package resolver

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync/atomic"
)

// Record gives addresses to a name.
type Record struct {
	// Name is what clients ask for, as "web" or "web.frontend", with or without a final
	// dot. There are no escapes: a backslash is a backslash. Upper and lower case are
	// the same (RFC 4343). A name that no message can hold, because a label is empty or
	// has more than 63 bytes or all have more than 255 (RFC 1035, section 2.3.4), is
	// left out.
	Name string
	// Addrs are the addresses, of both families. Several records of one name add up, in
	// their order, each address once. Without any the name exists and has no address.
	// Zones are left out, since messages have no place for them.
	Addrs []netip.Addr
	// Reverse makes Name what these addresses are called. If several records say so of
	// an address, the first does.
	Reverse bool
}

// Service is a port of a service, which SRV records tell (RFC 2782). Their owner is
// _Port._Proto.Name, priority is 0 and weight 1, as all targets are alike.
type Service struct {
	// Name is the service's, as "web".
	Name string
	// Port is the port's name, and Proto the protocol's, as "http" and "tcp", both
	// without an underscore.
	Port, Proto string
	// Number is the port's.
	Number uint16
	// Targets are the names of who serves. The answer has the addresses of those that
	// the view knows.
	Targets []string
}

// Names are the names, services and prefixes of one network, or of one container alone.
// They never change. A nil Names is empty.
type Names struct {
	nodes    map[string]*node      // by lower-case name, as on the wire
	reverse  map[netip.Addr][]byte // names, as on the wire
	prefixes []netip.Prefix
}

// node is what there is at a name.
type node struct {
	v4, v6   addresses
	services []target
}

// addresses are all of one family.
type addresses struct {
	packed []byte // one after the other
	count  int
	// next is which one goes first next time. Families take turns apart: clients ask for
	// both in turn, and with two addresses would always get the same one first.
	next atomic.Uint32
}

// target is an SRV record.
type target struct {
	port uint16
	name []byte // as on the wire
	key  string // of its node
}

// NewNames returns names for the records, in their order, and the services. An address in
// one of the prefixes that is nobody's does not exist, rather than being asked outside.
// It takes time and memory in proportion to what it is given, and keeps none of it.
func NewNames(records []Record, services []Service, prefixes []netip.Prefix) *Names {
	reverse := 0
	for _, r := range records {
		if r.Reverse {
			reverse += len(r.Addrs)
		}
	}
	most := len(records) + len(services)
	b := namesBuilder{
		Names: &Names{nodes: make(map[string]*node, most), reverse: make(map[netip.Addr][]byte, reverse)},
		slab:  make([]node, 0, most),
	}
	for _, r := range records {
		b.addRecord(r)
	}
	for _, s := range services {
		b.addService(s)
	}
	n := b.Names
	for _, p := range prefixes {
		if !p.IsValid() {
			continue
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		n.prefixes = append(n.prefixes, p.Masked())
	}
	for _, node := range n.nodes {
		// Names are built anew at each change: if all began with the first address, it
		// would get more than its share.
		node.v4.next.Store(rand.Uint32())
		node.v6.next.Store(rand.Uint32())
	}
	return n
}

// namesBuilder makes names. A network with a thousand containers is built again at each
// change, so nodes are allocated together, and names only if they are kept.
type namesBuilder struct {
	*Names
	slab   []node // has room for all
	buffer [maxName]byte
}

func (n *namesBuilder) addRecord(r Record) {
	wire, ok := appendName(n.buffer[:0], r.Name)
	if !ok {
		return
	}
	if r.Reverse {
		wire = slices.Clone(wire)
	}
	at := n.node(wire)
	for _, addr := range r.Addrs {
		addr = addr.Unmap().WithZone("")
		switch {
		case addr.Is4():
			at.v4.add(addr)
		case addr.Is6():
			at.v6.add(addr)
		default:
			continue
		}
		if _, taken := n.reverse[addr]; r.Reverse && !taken {
			n.reverse[addr] = wire
		}
	}
}

func (n *namesBuilder) addService(s Service) {
	owner, ok := appendName(n.buffer[:0], "_"+s.Port+"._"+s.Proto+"."+s.Name)
	if !ok {
		return
	}
	at := n.node(owner)
	for _, name := range s.Targets {
		if wire, ok := appendName(nil, name); ok {
			at.services = append(at.services, target{port: s.Number, name: wire, key: string(lower(slices.Clone(wire)))})
		}
	}
}

// node returns the node of a name, made if need be.
func (n *namesBuilder) node(wire []byte) *node {
	var buffer [maxName]byte
	key := lower(append(buffer[:0], wire...))
	at := n.nodes[string(key)]
	if at == nil {
		n.slab = append(n.slab, node{})
		at = &n.slab[len(n.slab)-1]
		n.nodes[string(key)] = at
	}
	return at
}

func (a *addresses) add(addr netip.Addr) {
	size := addr.BitLen() / 8
	raw := addr.AsSlice()
	for old := range slices.Chunk(a.packed, size) {
		if slices.Equal(old, raw) {
			return
		}
	}
	a.packed = append(a.packed, raw...)
	a.count++
}

// turn returns which address goes first this time.
func (a *addresses) turn() int {
	if a.count < 2 {
		return 0
	}
	return int(a.next.Add(1) % uint32(a.count))
}

// appendTo appends the addresses, beginning with the one whose turn it is.
func (a *addresses) appendTo(out []netip.Addr) []netip.Addr {
	if a.count == 0 {
		return out
	}
	size := len(a.packed) / a.count
	first := a.turn()
	for i := range a.count {
		at := (first + i) % a.count * size
		addr, _ := netip.AddrFromSlice(a.packed[at : at+size])
		out = append(out, addr)
	}
	return out
}

// View is what one container sees: names of its own, and those of the networks that it
// is in. It never changes. A nil View is empty.
type View struct {
	layers []*Names
}

// NewView returns a view of private names over those of networks, in their order. It
// copies pointers only; any of them may be nil.
//
// What the first layer has of a name and a type counts: a name with IPv4 addresses in the
// first network and both in the second gets those of the first, and IPv6 from the second.
func NewView(private *Names, networks ...*Names) *View {
	v := &View{layers: make([]*Names, 0, 1+len(networks))}
	for _, n := range append([]*Names{private}, networks...) {
		if n != nil {
			v.layers = append(v.layers, n)
		}
	}
	return v
}

// each calls fn with the nodes of a name, from the first layer on, until it returns
// false, and reports whether there is any.
func (v *View) each(key []byte, fn func(*node) bool) bool {
	known := false
	if v == nil {
		return false
	}
	for _, layer := range v.layers {
		if at := layer.nodes[string(key)]; at != nil {
			known = true
			if !fn(at) {
				break
			}
		}
	}
	return known
}

// knows reports whether a name is there, whatever it has.
func (v *View) knows(key []byte) bool {
	return v.each(key, func(*node) bool { return false })
}

// addresses returns those of one family, or nil, and whether the name is known.
func (v *View) addresses(key []byte, six bool) (found *addresses, known bool) {
	if v == nil {
		return nil, false
	}
	for _, layer := range v.layers {
		at := layer.nodes[string(key)]
		if at == nil {
			continue
		}
		known = true
		of := &at.v4
		if six {
			of = &at.v6
		}
		if of.count > 0 {
			return of, true
		}
	}
	return nil, known
}

// services returns the SRV records of a name.
func (v *View) services(key []byte) (found []target) {
	v.each(key, func(at *node) bool {
		found = at.services
		return len(found) == 0
	})
	return found
}

// name returns what an address is called, as on the wire. If it is not called anything,
// inside tells whether it is in a network of the view.
func (v *View) name(addr netip.Addr) (name []byte, inside bool) {
	if v == nil {
		return nil, false
	}
	for _, layer := range v.layers {
		if name := layer.reverse[addr]; name != nil {
			return name, true
		}
	}
	for _, layer := range v.layers {
		for _, p := range layer.prefixes {
			if p.Contains(addr) {
				return nil, true
			}
		}
	}
	return nil, false
}

// Lookup returns the addresses of a name, IPv4 first, each family beginning with another
// one each time, and whether the view has the name at all. That it has not costs no
// allocation. The name may end with a dot.
func (v *View) Lookup(name string) (addrs []netip.Addr, known bool) {
	var buffer [maxName]byte
	key, ok := appendName(buffer[:0], name)
	if !ok {
		return nil, false
	}
	key = lower(key)
	for _, six := range []bool{false, true} {
		found, has := v.addresses(key, six)
		known = known || has
		if found != nil {
			addrs = found.appendTo(addrs)
		}
	}
	return addrs, known
}

// LookupAddr returns what an address is called, without a final dot, or "". If it is not
// called anything, inside tells whether it is in a network of the view, so that nobody
// outside is to be asked.
func (v *View) LookupAddr(addr netip.Addr) (name string, inside bool) {
	wire, inside := v.name(addr.Unmap().WithZone(""))
	return nameText(wire), inside
}

// Target is who serves a service.
type Target struct {
	// Name has no final dot.
	Name string
	Port uint16
}

// LookupService returns who serves under a name such as _http._tcp.web.
func (v *View) LookupService(name string) []Target {
	var buffer [maxName]byte
	key, ok := appendName(buffer[:0], name)
	if !ok {
		return nil
	}
	var out []Target
	for _, t := range v.services(lower(key)) {
		out = append(out, Target{Name: nameText(t.name), Port: t.port})
	}
	return out
}

// reverseAddr reads the address out of a lower-case name below in-addr.arpa (RFC 1035,
// section 3.5) or ip6.arpa (RFC 3596, section 2.5). Names of parts of an address, and
// those that are written in any other way, are not one.
func reverseAddr(name []byte) (netip.Addr, bool) {
	const tail4, tail6 = "\x07in-addr\x04arpa\x00", "\x03ip6\x04arpa\x00"
	switch {
	case len(name) == 64+len(tail6) && string(name[64:]) == tail6:
		var raw [16]byte
		for i := range raw {
			low, high := nibble(name[2*2*i:]), nibble(name[2*(2*i+1):])
			if low > 15 || high > 15 {
				return netip.Addr{}, false
			}
			raw[15-i] = high<<4 | low
		}
		return netip.AddrFrom16(raw), true
	case len(name) > len(tail4) && string(name[len(name)-len(tail4):]) == tail4:
		rest := name[:len(name)-len(tail4)]
		var raw [4]byte
		for i := range raw {
			value, size := decimal(rest)
			if size == 0 {
				return netip.Addr{}, false
			}
			raw[3-i] = value
			rest = rest[size:]
		}
		return netip.AddrFrom4(raw), len(rest) == 0
	}
	return netip.Addr{}, false
}

// nibble reads a label of one hexadecimal digit; over 15 if it is none.
func nibble(label []byte) byte {
	switch digit := label[1]; {
	case label[0] != 1:
	case digit >= '0' && digit <= '9':
		return digit - '0'
	case digit >= 'a' && digit <= 'f':
		return digit - 'a' + 10
	}
	return 16
}

// decimal reads a label of 0 to 255, and returns how many bytes it takes; 0 if it is none.
func decimal(labels []byte) (value byte, size int) {
	if len(labels) == 0 {
		return 0, 0
	}
	size = int(labels[0])
	if size < 1 || size > 3 || size >= len(labels) || size > 1 && labels[1] == '0' {
		return 0, 0
	}
	sum := 0
	for _, digit := range labels[1 : 1+size] {
		if digit < '0' || digit > '9' {
			return 0, 0
		}
		sum = 10*sum + int(digit-'0')
	}
	if sum > 255 {
		return 0, 0
	}
	return byte(sum), 1 + size
}

// appendTo appends the data of the SRV record.
func (t target) appendTo(out []byte) []byte {
	const priority, weight = 0, 1
	out = binary.BigEndian.AppendUint16(out, priority)
	out = binary.BigEndian.AppendUint16(out, weight)
	out = binary.BigEndian.AppendUint16(out, t.port)
	return append(out, t.name...)
}
