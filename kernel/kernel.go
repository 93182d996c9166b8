// Package kernel carries out what package netstate describes. Only this folder
// makes system calls that change a host's network.
//
// [Open] returns the real [Host] of this machine. Tests use the fake of package
// kerneltest, which fulfils the same contract and passes the same suite.
package kernel

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/docker/libnetwork/netstate"
)

// Host is a machine: its own network namespace, written "", and the container
// namespaces that it is asked about, named by the path of their file. It is safe
// for concurrent use; changes to different namespaces run in parallel.
type Host interface {
	// Apply carries out the changes in order and stops at the first that fails,
	// with an error that names it; of those behind it that share its namespace some
	// may have been carried out too. Every verb is idempotent in the way that
	// netstate.Verb documents, so the caller may apply the same list again, or a
	// list that takes it back. When Apply returns, deleted links are out of sight,
	// though the kernel may still be freeing them.
	Apply(context.Context, netstate.Changes) error
	// Observe returns what the namespaces hold, one part for each namespace and
	// owner. What is not ours is in a part without owner. A namespace that does
	// not exist contributes nothing.
	Observe(ctx context.Context, namespaces ...string) ([]netstate.Part, error)
	// Watch calls notify, from one goroutine, whenever a link, address or route of
	// the host's namespace has changed, until ctx is done; it returns when it is
	// watching. Bursts may be reported once.
	Watch(ctx context.Context, notify func()) error
	// Namespaces returns the part of the host that makes and removes namespaces.
	Namespaces() Namespaces
	// Container returns the part of the host that acts inside a namespace.
	Container() Container
	// Firewall returns the host's packet filter.
	Firewall() Firewall
	// Features returns what tells which features the kernel has.
	Features() Prober
	// Ports returns the part of the host that takes its ports.
	Ports() Ports
	// Close waits for deletions under way and releases all descriptors. It removes
	// nothing.
	Close() error
}

// Firewall is the host's packet filter, as far as it is ours. What it holds are the
// intents of the host's parts: Apply changes them and Observe returns them.
type Firewall interface {
	// Backend returns which one is in use: [NFTables], [IPTablesNFT], [IPTablesLegacy], or
	// [NoFirewall].
	Backend(ctx context.Context) (string, error)
	// Watch calls notify, from one goroutine, when somebody else changed what is ours,
	// until ctx is done. Bursts may be reported once.
	Watch(ctx context.Context, notify func()) error
	// Forget makes the kernel forget, in the background, the connections of containers'
	// addresses that are given up, so that nothing of them gets to who has them next. An
	// Apply that adds one of them waits for that.
	Forget(addresses ...netip.Addr)
	// Clean removes what is ours from back ends that are not in use.
	Clean(ctx context.Context) error
}

// Back ends of the packet filter.
const (
	NFTables = "nftables"
	// IPTables is the one of the following two that the host's iptables-restore is.
	IPTables = "iptables"
	// IPTablesNFT is iptables over nf_tables, and IPTablesLegacy over x_tables.
	IPTablesNFT    = "iptables-nft"
	IPTablesLegacy = "iptables-legacy"
	// NoFirewall takes no intents: adding one is Unsupported.
	NoFirewall = "none"
)

// Ports takes ports of the host, in its namespace.
type Ports interface {
	// Do runs fn, and makes Bind and InUse cheap in it. Others wait meanwhile: fn must not
	// wait for anything.
	Do(fn func() error) error
	// Bind takes a port and returns the socket that holds it: nobody else can bind the
	// port, and nothing is answered, before Admit. A port in use is Exists; an address
	// that is not the host's is Invalid. A protocol that this kernel has no sockets for is
	// Unsupported.
	Bind(ctx context.Context, protocol netstate.Protocol, address netip.AddrPort, admit bool) (*os.File, error)
	// Admit makes a socket that was bound to be admitted take connections or datagrams.
	// Once more does nothing.
	Admit(protocol netstate.Protocol, socket *os.File) error
	// InUse returns the sockets that have one of the ports: those that listen, and for a
	// protocol without connections all. If it is a single port, their holders are looked
	// for.
	InUse(ctx context.Context, protocol netstate.Protocol, ports netstate.PortRange) ([]netstate.PortUse, error)
	// Ephemeral returns the range of ports that the host hands out by itself, inclusive
	// (ip_local_port_range), and those that are reserved (ip_local_reserved_ports).
	Ephemeral(ctx context.Context) (first, last uint16, reserved []netstate.PortRange, err error)
	// Dial connects to an IP address and port from the host's namespace; network is "tcp"
	// or "udp".
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// Namespaces makes and removes network namespaces, each pinned at a path.
type Namespaces interface {
	// Create makes a namespace and pins it at path, whose folder is made if
	// missing. A path in use is Exists. The loopback is down.
	Create(ctx context.Context, path string) error
	// Bind pins the namespace that the file source stands for, such as
	// /proc/PID/ns/net, at path. A path in use is Exists; a source that is not a
	// network namespace, or the host's own, is Invalid; one that is missing is NotFound.
	Bind(ctx context.Context, path, source string) error
	// Delete unpins path and forgets all about it. A missing path is no error.
	Delete(ctx context.Context, path string) error
	// List returns the paths pinned in folder that start with prefix, sorted, the
	// broken ones (a file that is no longer a namespace) too. A missing folder is
	// empty.
	List(ctx context.Context, folder, prefix string) ([]string, error)
	// Alive reports whether path is a network namespace.
	Alive(ctx context.Context, path string) (bool, error)
	// Identity tells the namespace at path from another that comes to be there: it is text
	// to be compared. A path that is missing is NotFound, one that is no network namespace
	// Invalid.
	Identity(ctx context.Context, path string) (string, error)
	// HostPath returns a path that stands for the host's own namespace.
	HostPath() string
}

// Container acts inside a namespace.
type Container interface {
	// Announce sends one unsolicited ARP reply or neighbour advertisement for each
	// address on the link, so that neighbours learn it (RFC 5227 section 3,
	// RFC 4861 section 7.2.6).
	Announce(ctx context.Context, namespace, link string, addresses []netip.Addr) error
	// Statistics returns the counters of the named links; missing ones are left out.
	Statistics(ctx context.Context, namespace string, links []string) (map[string]Statistics, error)
	// Prefixes returns what the namespace has a route to, default routes aside: the subnets
	// of its addresses, and the destinations of its routes.
	Prefixes(ctx context.Context, namespace string) ([]netip.Prefix, error)
	// Listen takes the datagrams and connections that processes of the namespace send to an
	// IPv4 address of its loopback. They may bind the same port at any other address, and
	// at all of them, if the host's packet filter can lead to another port than that which
	// is asked; without one (NoFirewall) they may not. Listening again takes the place of
	// what was before.
	Listen(ctx context.Context, namespace string, address netip.AddrPort) (net.PacketConn, net.Listener, error)
	// Dial connects to an IP address and port from the namespace; network is "tcp" or
	// "udp".
	Dial(ctx context.Context, namespace, network, address string) (net.Conn, error)
	// HasIPv6 reports whether IPv6 works in the namespace: whether its loopback, once
	// up, has the address ::1.
	HasIPv6(ctx context.Context, namespace string) (bool, error)
}

// Statistics are a link's counters since it was made.
type Statistics struct {
	RxBytes, RxPackets, RxErrors, RxDropped uint64
	TxBytes, TxPackets, TxErrors, TxDropped uint64
}

// Options says which machine to open.
type Options struct {
	// HostNamespace is the path of the namespace that plays the host; empty means
	// the one of the process.
	HostNamespace string
	// Instance tells several users of one host apart: 1 to 64 letters, digits,
	// '-' or '_'. It is part of the mark on links, so that one instance never
	// takes another's links for its own.
	Instance string
	// Firewall says how packets are filtered.
	Firewall FirewallOptions
	// Log takes warnings, and errors of what goes on in the background; nil drops them.
	Log *slog.Logger
}

// FirewallOptions configure the packet filter.
type FirewallOptions struct {
	// Backend is one of those above. Empty takes nftables if the kernel has it, and
	// iptables otherwise.
	Backend string
	// AcceptMark and AcceptMask let packets into all networks whose mark, masked, is the
	// mark. A mask of zero lets none in.
	AcceptMark, AcceptMask uint32
	// Bus is the address of the D-Bus where the host's firewalld is to be found. Empty
	// means the system's, if the host is the namespace of the process, and otherwise none.
	Bus string
	// LoopbackProxied leaves published ports on the host's loopback to a userland proxy.
	LoopbackProxied bool
	// Brief is for a process that ends with one operation: it takes the filter to hold what
	// earlier ones put there, and does not warn of what others drop. If there is nothing to
	// add to, Apply is NotFound until Observe was called, or a network comes.
	Brief bool
}
