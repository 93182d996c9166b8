package libnetwork

import (
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// handoverDigits of an endpoint's id name its interface while it waits on the host, behind
// "dnet": names of links have 15 bytes at most.
const handoverDigits = 11

// waitingInterface is what an interface is called while it waits on the host to be taken
// by whoever it is handed over to.
func waitingInterface(rec *cnm.Endpoint) string {
	return "dnet" + rec.ID[:min(handoverDigits, len(rec.ID))]
}

// waiting returns the parts with the links that are for the namespace on the host instead,
// with nothing on them: whoever takes them there does the rest.
func waiting(parts []netstate.Part, namespace string) []netstate.Part {
	out := slices.Clone(parts)
	for i, part := range out {
		links := slices.Clone(part.Links)
		for j := range links {
			if part.Namespace == namespace {
				links[j].Handover = true
			}
			if links[j].Peer.Namespace == namespace {
				links[j].Peer.Namespace = ""
			}
		}
		if part.Namespace == namespace {
			part = netstate.Part{Owner: part.Owner}
		}
		part.Links = links
		out[i] = part
	}
	return out
}

// handOver makes what was handed over pass for there: whoever took it has it, and does
// with it what he likes. A pair whose other end is where nobody looks is whole.
func handOver(observed, wished []netstate.Part) []netstate.Part {
	taken := make(map[netstate.Peer]bool)
	for _, p := range wished {
		for _, l := range p.Links {
			if l.Handover {
				taken[netstate.Peer{Namespace: p.Namespace, Name: l.Name}] = true
			}
		}
	}
	if len(taken) == 0 {
		return observed
	}
	out := slices.Clone(observed)
	for _, p := range wished {
		i := slices.IndexFunc(out, func(o netstate.Part) bool { return o.Owner == p.Owner && o.Namespace == p.Namespace })
		if i < 0 {
			i = len(out)
			out = append(out, netstate.Part{Owner: p.Owner, Namespace: p.Namespace})
		}
		out[i].Links = slices.Clone(out[i].Links)
		for _, l := range p.Links {
			if !l.Handover && !taken[l.Peer] {
				continue
			}
			j := slices.IndexFunc(out[i].Links, func(there netstate.Link) bool { return there.Name == l.Name })
			switch {
			case j < 0:
				out[i].Links = append(out[i].Links, l)
			case out[i].Links[j].Kind == l.Kind:
				out[i].Links[j].Peer = l.Peer
			}
		}
	}
	return out
}
