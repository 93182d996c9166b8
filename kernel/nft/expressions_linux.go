package nft

import (
	"encoding/binary"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Registers. Those of 16 bytes are numbered from 1; each is also four of 4 bytes,
// numbered from 8 (include/uapi/linux/netfilter/nf_tables.h).
const (
	register1      = unix.NFT_REG_1    // also the first of 4 bytes
	register2      = unix.NFT_REG_2    // behind 16 bytes
	behindOne      = unix.NFT_REG32_01 // behind one field of 4 bytes
	behindTwo      = unix.NFT_REG32_02
	behindOneAnd16 = unix.NFT_REG32_05 // behind a field of 4 and one of 16 bytes
)

// Bits of ct state and ct status (include/uapi/linux/netfilter/nf_conntrack_common.h).
const (
	stateEstablished = 1 << 1
	stateRelated     = 1 << 2
	statusDNAT       = 1 << 5
)

// family describes one of the two for expressions.
type family struct {
	suffix               string
	protocol             byte // NFPROTO_*
	ping                 byte // the protocol number of its control messages
	source, destination  uint32
	bytes                uint32 // of an address
	afterAddress         uint32 // the register behind an address in register1
	afterProtocolAddress uint32 // behind a protocol and an address
}

// families have the offsets of addresses in the headers of RFC 791 and RFC 8200.
func families() []family {
	return []family{
		{ipv4, unix.NFPROTO_IPV4, unix.IPPROTO_ICMP, 12, 16, 4, behindOne, behindTwo},
		{ipv6, unix.NFPROTO_IPV6, unix.IPPROTO_ICMPV6, 8, 24, 16, register2, behindOneAnd16},
	}
}

// match is a piece of a rule.
type match = []expr.Any

// all puts pieces behind each other.
func all(pieces ...match) match {
	var out match
	for _, p := range pieces {
		out = append(out, p...)
	}
	return out
}

func meta(key expr.MetaKey, register uint32) match {
	return match{&expr.Meta{Key: key, Register: register}}
}

func equals(value ...byte) match {
	return match{&expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: value}}
}

func (f family) is() match { return all(meta(expr.MetaKeyNFPROTO, register1), equals(f.protocol)) }

func (f family) address(offset, register uint32) match {
	return match{&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: f.bytes, DestRegister: register}}
}

// destinationPort loads the port of tcp, udp or sctp, which have it in one place.
func destinationPort(register uint32) match {
	return match{&expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2, DestRegister: register}}
}

// loopbackDestination matches 127.0.0.0/8 or ::1 (RFC 1122 section 3.2.1.3, RFC 4291).
func (f family) loopback(offset uint32) match {
	if f.suffix == ipv4 {
		first := &expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 1, DestRegister: register1}
		return append(all(f.is(), match{first}), equals(127)...)
	}
	return all(f.is(), f.address(offset, register1), equals(append(make([]byte, 15), 1)...))
}

// linkLocalSource matches fe80::/10 (RFC 4291 section 2.5.6).
func linkLocalSource() match {
	v6 := families()[1]
	return append(all(v6.is(), match{
		&expr.Payload{Base: expr.PayloadBaseNetworkHeader, Offset: v6.source, Len: 2, DestRegister: register1},
		&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 2, Mask: []byte{0xff, 0xc0}, Xor: make([]byte, 2)},
	}), equals(0xfe, 0x80)...)
}

func inSet(name string) match { return match{&expr.Lookup{SourceRegister: register1, SetName: name}} }

func notInSet(name string) match {
	return match{&expr.Lookup{SourceRegister: register1, SetName: name, Invert: true}}
}

func inMap(name string) match {
	return match{&expr.Lookup{SourceRegister: register1, SetName: name, DestRegister: register1, IsDestRegSet: true}}
}

func verdictMap(name string) match {
	return match{&expr.Lookup{SourceRegister: register1, SetName: name, DestRegister: unix.NFT_REG_VERDICT, IsDestRegSet: true}}
}

func bits(key expr.CtKey, mask uint32) match {
	return match{
		&expr.Ct{Key: key, Register: register1},
		&expr.Bitwise{
			SourceRegister: register1, DestRegister: register1, Len: 4,
			Mask: binaryutil.NativeEndian.PutUint32(mask), Xor: make([]byte, 4),
		},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register1, Data: make([]byte, 4)},
	}
}

func answers() match    { return bits(expr.CtKeySTATE, stateEstablished|stateRelated) }
func translated() match { return bits(expr.CtKeySTATUS, statusDNAT) }

func mark(value, mask uint32) match {
	return all(meta(expr.MetaKeyMARK, register1), match{
		&expr.Bitwise{
			SourceRegister: register1, DestRegister: register1, Len: 4,
			Mask: binary.NativeEndian.AppendUint32(nil, mask), Xor: make([]byte, 4),
		},
	}, equals(binary.NativeEndian.AppendUint32(nil, value&mask)...))
}

// toHost matches packets to an address of the host.
func toHost() match {
	return all(match{&expr.Fib{Register: register1, ResultADDRTYPE: true, FlagDADDR: true}},
		equals(binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)...))
}

func accept() match { return match{&expr.Verdict{Kind: expr.VerdictAccept}} }
func drop() match   { return match{&expr.Verdict{Kind: expr.VerdictDrop}} }
func leave() match  { return match{&expr.Verdict{Kind: expr.VerdictReturn}} }

func jump(chain string) match { return match{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}} }
func masquerade() match       { return match{&expr.Masq{}} }
