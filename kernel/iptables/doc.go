// Package iptables carries out the intents of package netstate with the programs
// iptables-restore and ip6tables-restore, for hosts whose operators work with iptables.
// What each intent does to packets is the same as in package nft.
//
// Everything is in chains whose names start with LN- and the instance, which the built-in
// chains jump to. Each rule has a comment that says whose it is and what it is for, so
// that iptables-save alone tells what is in force. A change is one process for each
// family that it concerns, however many rules it is made of; what the kernel holds is read
// again only after others have changed it.
//
// Operators put their own rules into the chain DOCKER-USER of the table filter: if there
// is one, what is forwarded goes there before it comes to us. It is theirs: it is never
// made, changed or flushed here. There, packets for published ports have their
// destination translated already; the match conntrack --ctorigdstport sees the port that
// they came for.
package iptables

// Options say whose chains these are, and what their static rules are.
type Options struct {
	// Instance tells several users of one host apart: 1 to 64 letters, digits, '-' or
	// '_'.
	Instance string
	// Variant says which iptables: [VariantNFT], [VariantLegacy], or empty for the one
	// that the host's iptables-restore is.
	Variant string
	// AcceptMark and AcceptMask let in packets whose mark, masked, is the mark. A mask of
	// zero lets none in.
	AcceptMark, AcceptMask uint32
	// LoopbackProxied leaves what is sent to the host's loopback addresses to a userland
	// proxy.
	LoopbackProxied bool
	// Run runs fn on a thread in the host's network namespace, so that the processes that
	// fn starts are in it too, and returns fn's error. Nil calls fn where it is.
	Run func(fn func() error) error
}

// Variants of the iptables programs, as in their names.
const (
	// VariantNFT is the one over nf_tables.
	VariantNFT = "nft"
	// VariantLegacy is the one over the kernel's older interface, x_tables.
	VariantLegacy = "legacy"
)
