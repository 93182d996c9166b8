package nft

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
)

// Names of the sets and maps, without the family.
const (
	setPort        = "port"       // host address and port to container
	setAnyPort     = "anyport"    // port of whatever host address to container
	setRange       = "range"      // the same for ports mapped one to one
	setOpen        = "open"       // container address and port
	setOpenRange   = "openrange"  // the same for ranges
	setInbound     = "inbound"    // bridge to the chain of its policy
	setConfine     = "confine"    // bridges that nothing leaves
	setAllow       = "allow"      // pairs of links
	setSeparate    = "separate"   // bridges, twice
	setLoopback    = "loopback"   // bridges that the loopback reaches
	setHairpin     = "hairpin"    // subnets with their bridges
	setMasquerade  = "masquerade" // subnets that get the address of the way out
	setSource      = "source"     // subnets to the address they get
	ipv4, ipv6     = "4", "6"     // are appended, but to what is of no family
	interfaceBytes = 16           // of a link's name (IFNAMSIZ)
)

// setShape is what a set or map looks like.
type setShape struct {
	name     string
	key      []nftables.SetDatatype
	data     []nftables.SetDatatype // none for a set
	interval bool
}

// shapes lists all sets, those of both families.
func shapes() []setShape {
	proto, port, name := nftables.TypeInetProto, nftables.TypeInetService, nftables.TypeIFName
	all := []setShape{
		{name: setAllow, key: types(name, name)},
		{name: setSeparate, key: types(name, name)},
		{name: setLoopback, key: types(name)},
	}
	for _, suffix := range []string{ipv4, ipv6} {
		address := nftables.TypeIPAddr
		if suffix == ipv6 {
			address = nftables.TypeIP6Addr
		}
		all = append(all,
			setShape{name: setPort + suffix, key: types(proto, address, port), data: types(address, port)},
			setShape{name: setAnyPort + suffix, key: types(proto, port), data: types(address, port)},
			setShape{name: setRange + suffix, key: types(proto, address, port), data: types(address), interval: true},
			setShape{name: setOpen + suffix, key: types(proto, address, port)},
			setShape{name: setOpenRange + suffix, key: types(proto, address, port), interval: true},
			setShape{name: setInbound + suffix, key: types(name), data: types(nftables.TypeVerdict)},
			setShape{name: setConfine + suffix, key: types(name)},
			setShape{name: setHairpin + suffix, key: types(address, name), interval: true},
			setShape{name: setMasquerade + suffix, key: types(address), interval: true},
			setShape{name: setSource + suffix, key: types(address), data: types(address), interval: true},
		)
	}
	return all
}

func types(list ...nftables.SetDatatype) []nftables.SetDatatype { return list }

// set returns the shape as one of the table's. The id tells the sets of a batch apart.
func (s setShape) set(table *nftables.Table, id uint32) *nftables.Set {
	out := &nftables.Set{
		Table: table, ID: id, Name: s.name, KeyType: joined(s.key), Interval: s.interval,
		Concatenation: s.interval && len(s.key) > 1, IsMap: len(s.data) > 0,
	}
	if out.IsMap {
		out.DataType = joined(s.data)
	}
	// The nft program shows a name right only if it is told that it is no number.
	if s.key[0].Name == nftables.TypeIFName.Name && !s.interval {
		out.KeyByteOrder = binaryutil.NativeEndian
	}
	return out
}

func joined(list []nftables.SetDatatype) nftables.SetDatatype {
	if len(list) == 1 {
		return list[0]
	}
	return nftables.MustConcatSetType(list...)
}
