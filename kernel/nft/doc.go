// Package nft carries out the intents of package netstate with nftables, over netlink
// and without a process.
//
// Everything is in one table of family inet that only this package touches. Its chains
// are static: they never change with what is published. What comes and goes are
// elements of named maps and sets, so that a port, or a range of ten thousand ports
// mapped one to one, is one element, and its cost does not grow with what is there
// already. Each element has a comment with its owner and intent.
//
// Operators put their own rules into a table of their own, with a chain of a priority
// before ours: a verdict drop there is final, and an accept there does not open what is
// closed here. docs/firewall.md shows it.
package nft

// Options say which table, and what its static rules are.
type Options struct {
	// Table is the table's name.
	Table string
	// Namespace is a descriptor of the network namespace; zero is that of the calling
	// thread.
	Namespace int
	// AcceptMark and AcceptMask let in packets whose mark, masked, is the mark. A mask of
	// zero lets none in.
	AcceptMark, AcceptMask uint32
	// LoopbackProxied leaves what is sent to the host's loopback addresses to a userland
	// proxy.
	LoopbackProxied bool
	// Brief is for a process that ends with one operation: what is there is read only if the
	// kernel finds that a change does not fit. Additions to a table that is not there are
	// NotFound, until Observe has looked.
	Brief bool
}
