package rtnl

import (
	"encoding/binary"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Marks of what is ours in traffic control: the handle of queueing disciplines, and the
// preference of filters.
const (
	limitHandle = Group << 24 // 6c00: as tc writes it
	limitFilter = Group
)

// Handles with a meaning (include/uapi/linux/pkt_sched.h).
const (
	handleRoot    = 0xffffffff
	handleIngress = 0xfffffff1
	ingressMajor  = 0xffff0000
	// ingressHook is where what is received passes filters, whether the discipline there
	// is "ingress" or "clsact".
	ingressHook = ingressMajor | 0xfff2
)

// TCA_EGRESS_REDIR (include/uapi/linux/tc_act/tc_mirred.h) and TC_ACT_STOLEN
// (include/uapi/linux/pkt_cls.h).
const (
	egressRedirect = 1
	actionStolen   = 4
)

// mirredSize is that of struct tc_mirred, in bytes; the last number is where to.
const mirredSize = 28

// Limit is a token bucket (tc-tbf(8)) on what a link sends.
type Limit struct {
	Link  int    // index
	Rate  uint64 // bytes per second
	Burst uint32 // bytes
}

// Redirect sends what a link receives to another one.
type Redirect struct{ Link, To int } // indexes

// queue is how many bytes may wait: the bucket, and what passes in 50 ms. The kernel
// returns it as it was set, unlike the size of the bucket, which it turns into time.
func queue(rate uint64, burst uint32) uint64 { return uint64(burst) + queueOf(rate) }

func queueOf(rate uint64) uint64 { return rate/20 + 10_000 }

// tick is the kernel's unit of time in traffic control, in nanoseconds (PSCHED_SHIFT in
// include/net/pkt_sched.h).
const tick = 64

// SetLimit bounds what a link sends, in place of any other queueing discipline at its
// root.
func SetLimit(l Limit) Request {
	r := qdisc(unix.RTM_NEWQDISC, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, l.Link, handleRoot, limitHandle, "tbf")
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	parameters := nl.TcTbfQopt{Limit: uint32(min(queue(l.Rate, l.Burst), 1<<32-1)), Buffer: l.Burst}
	parameters.Rate.Rate = uint32(min(l.Rate, 1<<32-1))
	// Otherwise the kernel wants a table of how long packets of each size take.
	parameters.Rate.Linklayer = nl.LINKLAYER_ETHERNET
	options.AddRtAttr(nl.TCA_TBF_PARMS, parameters.Serialize())
	options.AddRtAttr(nl.TCA_TBF_BURST, nl.Uint32Attr(l.Burst))
	if l.Rate >= 1<<32 {
		options.AddRtAttr(nl.TCA_TBF_RATE64, nl.Uint64Attr(l.Rate))
	}
	r.AddData(options)
	return Request{message: r}
}

// RemoveLimit takes it away, if it is ours. Otherwise the kernel refuses, with EINVAL or
// ENOENT.
func RemoveLimit(link int) Request {
	return Request{message: qdisc(unix.RTM_DELQDISC, 0, link, handleRoot, limitHandle, "tbf")}
}

// OpenIngress gives a link the place where filters see what it receives. With "clsact"
// there it has one, and the kernel refuses, with EINVAL.
func OpenIngress(link int) Request {
	return Request{message: qdisc(unix.RTM_NEWQDISC, unix.NLM_F_CREATE, link, handleIngress, ingressMajor, "ingress")}
}

// CloseIngress takes that place away. The kernel refuses, with EINVAL or ENOENT, if there
// is another or none.
func CloseIngress(link int) Request {
	return Request{message: qdisc(unix.RTM_DELQDISC, 0, link, handleIngress, ingressMajor, "ingress")}
}

// qdisc begins a request about a queueing discipline.
func qdisc(kind, flags, link int, parent, handle uint32, name string) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	r.AddData(&nl.TcMsg{Ifindex: int32(link), Parent: parent, Handle: handle})
	r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(name)))
	return r
}

func filter(kind, flags, link int) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(kind, flags)
	// The protocol is in network order, in the lower half.
	all := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	r.AddData(&nl.TcMsg{Ifindex: int32(link), Parent: ingressHook, Info: limitFilter<<16 | uint32(all)})
	r.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("u32")))
	return r
}

// AddRedirect adds the filter; the link must have been given the place for it.
func AddRedirect(d Redirect) Request {
	r := filter(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL, d.Link)
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_U32_SEL, everything())
	action := options.AddRtAttr(nl.TCA_U32_ACT, nil).AddRtAttr(1, nil)
	action.AddRtAttr(nl.TCA_ACT_KIND, nl.ZeroTerminated("mirred"))
	// Struct tc_mirred (include/uapi/linux/tc_act/tc_mirred.h) has seven numbers: index,
	// capabilities, what becomes of the packet, two counters, what is done, and where.
	var mirred []byte
	for _, number := range []uint32{0, 0, actionStolen, 0, 0, egressRedirect, uint32(d.To)} {
		mirred = binary.NativeEndian.AppendUint32(mirred, number)
	}
	action.AddRtAttr(nl.TCA_ACT_OPTIONS, nil).AddRtAttr(nl.TCA_MIRRED_PARMS, mirred)
	r.AddData(options)
	return Request{message: r}
}

// AddClassifier adds a filter that fits all and does nothing.
func AddClassifier(link int) Request {
	r := filter(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_EXCL, link)
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(nl.TCA_U32_SEL, everything())
	r.AddData(options)
	return Request{message: r}
}

// everything is a selector whose only key, without a mask, fits all.
func everything() []byte {
	all := nl.TcU32Sel{Flags: nl.TC_U32_TERMINAL, Nkeys: 1, Keys: []nl.TcU32Key{{}}}
	return all.Serialize()
}

// RemoveRedirect takes our filter away. The kernel refuses, with EINVAL or ENOENT, if
// there is none.
func RemoveRedirect(link int) Request {
	return Request{message: filter(unix.RTM_DELTFILTER, 0, link)}
}

func allQdiscs() Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETQDISC, 0)
	r.AddData(&nl.TcMsg{})
	return Request{message: r}
}

func filtersOf(link int) Request {
	r := nl.NewNetlinkRequest(unix.RTM_GETTFILTER, 0)
	r.AddData(&nl.TcMsg{Ifindex: int32(link), Parent: ingressHook})
	return Request{message: r}
}

// discipline is what matters of a queueing discipline: a limit of ours, or a place for
// filters.
type discipline struct {
	limit   Limit
	ingress bool
}

func parseQdisc(body []byte) (discipline, bool) {
	if len(body) < nl.SizeofTcMsg {
		return discipline{}, false
	}
	header := nl.DeserializeTcMsg(body)
	attributes, err := parseAttributes(body[nl.SizeofTcMsg:])
	if err != nil {
		return discipline{}, false
	}
	d := discipline{limit: Limit{Link: int(header.Ifindex)}, ingress: header.Parent == handleIngress}
	ours := header.Parent == handleRoot && header.Handle == limitHandle
	for _, a := range attributes {
		if a.kind == nl.TCA_OPTIONS && ours {
			ours = d.limit.parse(a.value)
		}
	}
	return d, ours || d.ingress
}

// parse reads the options of a token bucket. One whose bucket is not the size that goes
// with its queue was changed by somebody, and has none.
func (l *Limit) parse(data []byte) bool {
	attributes, err := parseAttributes(data)
	if err != nil {
		return false
	}
	var parameters *nl.TcTbfQopt
	for _, a := range attributes {
		switch {
		case a.kind == nl.TCA_TBF_PARMS && len(a.value) >= nl.SizeofTcTbfQopt:
			parameters = nl.DeserializeTcTbfQopt(a.value)
			l.Rate = max(l.Rate, uint64(parameters.Rate.Rate))
		case a.kind == nl.TCA_TBF_RATE64 && len(a.value) >= 8:
			l.Rate = binary.NativeEndian.Uint64(a.value)
		}
	}
	if parameters == nil || l.Rate == 0 {
		return false
	}
	if waiting := queueOf(l.Rate); uint64(parameters.Limit) > waiting {
		burst := uint64(parameters.Limit) - waiting
		// The kernel rounds, and has 32 bits for the time.
		filled := burst * 1_000_000_000 / l.Rate / tick
		if have := uint64(parameters.Buffer); filled >= 1<<32 || have <= filled+filled/50+2 && filled <= have+have/50+2 {
			l.Burst = uint32(burst)
		}
	}
	return true
}

// parseFilter returns where a filter of ours sends everything to.
func parseFilter(body []byte) (Redirect, bool) {
	if len(body) < nl.SizeofTcMsg {
		return Redirect{}, false
	}
	header := nl.DeserializeTcMsg(body)
	if header.Info>>16 != limitFilter {
		return Redirect{}, false
	}
	d := Redirect{Link: int(header.Ifindex)}
	value := body[nl.SizeofTcMsg:]
	for _, step := range []uint16{nl.TCA_OPTIONS, nl.TCA_U32_ACT, 1, nl.TCA_ACT_OPTIONS, nl.TCA_MIRRED_PARMS} {
		attributes, err := parseAttributes(value)
		if err != nil {
			return Redirect{}, false
		}
		value = nil
		for _, a := range attributes {
			if a.kind == step {
				value = a.value
			}
		}
	}
	if len(value) < mirredSize {
		return Redirect{}, false
	}
	d.To = int(number(value[mirredSize-4:]))
	return d, d.To > 0
}
