package nft

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"

	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/netstate"
)

// Redirect leads what is sent within a namespace to a port of one of its own IPv4
// addresses to other ports there, and answers back. So a server can be reached at a port
// that others may bind at all addresses. No connection is tracked for it: only the ports in
// the packets are changed.
type Redirect struct {
	// Table is the table's name, in family ip.
	Table   string
	Address netip.Addr
	Port    uint16
	// UDP and TCP are the ports where the server is.
	UDP, TCP uint16
}

// Apply makes the table in the namespace of the calling thread, in place of one that there
// may be. Close ends the socket, which may take the kernel 10 ms: it is for nobody to wait
// for. It is nil if there is an error.
func (r Redirect) Apply() (closeSocket func() error, err error) {
	conn, err := nftables.New(nftables.AsLasting())
	if err != nil {
		return nil, errno.Wrap("nftables socket", err)
	}
	table := &nftables.Table{Name: r.Table, Family: nftables.TableFamilyIPv4}
	conn.AddTable(table)
	conn.DelTable(table)
	conn.AddTable(table)
	chain := conn.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityRaw,
	})
	for _, rule := range r.rules() {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule.expressions, UserData: rule.userData()})
	}
	if err := conn.Flush(); err != nil {
		_ = conn.CloseLasting() // the error that matters is the other one
		return nil, errno.Wrap("nftables: redirect "+r.Address.String(), err)
	}
	return conn.CloseLasting, nil
}

// Where the ports and the checksum are in the headers of RFC 768 and RFC 9293.
const (
	offsetSourcePort      = 0
	offsetDestinationPort = 2
	offsetChecksumUDP     = 6
	offsetChecksumTCP     = 16
)

func (r Redirect) rules() []rule {
	v4 := families()[0]
	loopback := append(meta(expr.MetaKeyOIFNAME, register1), &expr.Cmp{Op: expr.CmpOpNeq, Register: register1, Data: linkName("lo")})
	out := []rule{static("what leaves the container is none of it", loopback, accept())}
	for _, p := range []struct {
		protocol netstate.Protocol
		port     uint16
		checksum uint32
	}{{netstate.UDP, r.UDP, offsetChecksumUDP}, {netstate.TCP, r.TCP, offsetChecksumTCP}} {
		change := func(comment string, address, offset uint32, from, to uint16) {
			out = append(out, static(comment,
				v4.address(address, register1), equals(r.Address.AsSlice()...),
				meta(expr.MetaKeyL4PROTO, register1), equals(byte(p.protocol)),
				match{transportPort(offset)}, equals(port(from)...),
				match{&expr.Notrack{}, immediate(port(to)), writePort(offset, p.checksum)}))
		}
		change("to the server, where it is", v4.destination, offsetDestinationPort, r.Port, p.port)
		change("from the server, as from the port that was asked", v4.source, offsetSourcePort, p.port, r.Port)
	}
	return out
}

func transportPort(offset uint32) expr.Any {
	return &expr.Payload{Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2, DestRegister: register1}
}

func immediate(data []byte) expr.Any { return &expr.Immediate{Register: register1, Data: data} }

func writePort(offset, checksum uint32) expr.Any {
	return &expr.Payload{
		OperationType: expr.PayloadWrite, Base: expr.PayloadBaseTransportHeader, Offset: offset, Len: 2,
		SourceRegister: register1, CsumType: expr.CsumTypeInet, CsumOffset: checksum,
	}
}
