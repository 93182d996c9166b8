package iptables

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/nftevents"
)

// Watch calls notify, from one goroutine, after somebody else has changed what may be
// ours, or what leads to it: within a third of a second, and bursts once. The older
// interface only tells that the tables were changed. It ends, and done is called, when ctx
// is done. If it returns an error, done is not called.
func (f *Filter) Watch(ctx context.Context, notify, done func()) error {
	if f.variant == VariantLegacy {
		return f.watchSizes(ctx, notify, done)
	}
	return f.inside(func() error { return nftevents.Watch(ctx, f.foreign, notify, done) })
}

// Attributes of messages of nf_tables, by what they are about
// (include/uapi/linux/netfilter/nf_tables.h).
const (
	attributeRuleChain = 2 // NFTA_RULE_CHAIN
	attributeChainName = 3 // NFTA_CHAIN_NAME
)

// foreign reports whether a message is about what may be ours, and not sent by one of our
// processes. A program has one socket, and the kernel gives it the number of its process
// for an address.
func (f *Filter) foreign(m nftevents.Message) bool {
	return f.options.concerned(m) && !f.children.has(m.Sender)
}

// concerned reports whether a message is about what may be ours.
func (o Options) concerned(m nftevents.Message) bool {
	if m.Family != unix.NFPROTO_IPV4 && m.Family != unix.NFPROTO_IPV6 {
		return false
	}
	f := familyOf(m.Family == unix.NFPROTO_IPV6)
	if !slices.Contains(f.tables(), table(m)) {
		return false
	}
	switch m.Kind {
	case unix.NFT_MSG_DELTABLE:
		return true
	case unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN:
		name := m.Text(attributeChainName)
		return strings.HasPrefix(name, o.prefix()) || name == chainUser
	case unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
		name := m.Text(attributeRuleChain)
		leads := slices.ContainsFunc(f.jumps(table(m), true), func(r rule) bool { return r.chain == name })
		return strings.HasPrefix(name, o.prefix()) || leads && m.Kind == unix.NFT_MSG_DELRULE
	}
	return false
}

func table(m nftevents.Message) string { return m.Text(nftevents.AttributeTable) }
