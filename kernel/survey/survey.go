// Package survey reads what a machine is like: what its kernel can do, how it is set, what
// else filters packets on it, and what its namespaces hold. It is for those who look for
// trouble, and takes its time; nothing on the way of an operation asks it.
//
// It changes nothing. What a kernel can do is tried out in a network namespace that is
// gone again when the answer is there; to try may make the kernel load a module, as using
// it would.
//
// On systems other than Linux every function returns an error of kind Unsupported.
package survey

import (
	"net/netip"

	"github.com/docker/libnetwork/netstate"
)

// Options say what to look at.
type Options struct {
	// HostNamespace is the path of the namespace that plays the host; empty means the one
	// of the process.
	HostNamespace string
	// Bus is the address of the D-Bus on which programs of the host are looked for. Empty
	// means the system's, if the host is the namespace of the process, and otherwise none.
	Bus string
	// Folders are those whose file systems are looked at.
	Folders []string
	// Sysctls are the keys to read, such as net/ipv4/ip_forward.
	Sysctls []string
	// Ports are tried: see Report.Free.
	Ports []Port
}

// Port is a port of one of the host's addresses.
type Port struct {
	Protocol netstate.Protocol
	Address  netip.AddrPort
}

// Report is what was found. What could not be read is left out, and named in Errors.
type Report struct {
	// Release is that of the kernel, such as "6.1.0-18-amd64".
	Release string
	Host    Space
	// Abilities are what the kernel can do, in the order of their importance.
	Abilities []Ability
	// Sysctls are those that were asked for, without the keys that the kernel does not have.
	Sysctls map[string]string
	// Chains are the base chains of packet filters, whosever they are.
	Chains []Chain
	// Hints name programs whose chains were found, such as "ufw" and "docker".
	Hints []string
	// UserRules counts the rules of the chain DOCKER-USER, but for those that do nothing.
	UserRules int
	// Firewalld says that somebody has its name on the bus.
	Firewalld bool
	// Connections are the entries of the table of connections, and MaxConnections the most
	// that there can be; both are zero on a kernel that does not track any.
	Connections, MaxConnections int
	// Sockets are those that listen by TCP, and all of UDP.
	Sockets []Port
	// Free are those of Options.Ports that nobody has taken.
	Free []Port
	// Programs are the paths of programs that may be of use, by name.
	Programs map[string]string
	// Folders are in the order of Options.Folders, without those that there are not.
	Folders []Folder
	// Errors say what could not be read, and why.
	Errors []error
}

// Ability is something that a kernel can do or not.
type Ability struct {
	// Name is such as "nftables: network address translation".
	Name string
	// Present says that the kernel can; otherwise Reason says what it answered.
	Present bool
	Reason  string
	// Config is the symbol that a kernel is built with to be able to, and Module is what
	// it may have to load.
	Config, Module string
}

// Space is what a network namespace holds.
type Space struct {
	// Links are in the order of their index.
	Links []Link
	// Routes are the unicast routes of the main tables.
	Routes []Route
	// Neighbors are all entries of the neighbour tables that have an address of a link,
	// or are looking for one.
	Neighbors []Neighbor
}

// Link is a network interface.
type Link struct {
	Name string
	// Kind is such as "bridge" or "veth"; empty for the loopback and for what is no link of
	// the kernel's own making.
	Kind  string
	Alias string
	// Master is the name of the bridge that the link is a port of; empty if it is none.
	Master string
	MTU    int
	MAC    netstate.MAC
	Up     bool
	Loop   bool
	// Addresses have the length of their subnet.
	Addresses []netip.Prefix
}

// Route is a route of the main table.
type Route struct {
	Destination netip.Prefix
	// Gateway zero means that the destination is on the link.
	Gateway netip.Addr
	Link    string
	Metric  uint32
}

// Neighbor is an entry of a neighbour table.
type Neighbor struct {
	Link    string
	Address netip.Addr
	MAC     string
	// State is as ip-neighbour(8) has it, such as "REACHABLE".
	State string
}

// Chain is a base chain of a packet filter.
type Chain struct {
	// Family is "ip", "ip6", "inet", "bridge" or "arp", and Table the table's name. Those
	// of iptables-legacy are in tables whose name ends in " (legacy)".
	Family, Table, Name string
	// Hook is such as "forward".
	Hook     string
	Priority int
	// Drops says that what no rule of the chain accepts is dropped or rejected; Why is how.
	Drops bool
	Why   string
}

// Folder is what is known of a folder's file system.
type Folder struct {
	Path string
	// Kind is such as "ext4", "tmpfs" or, for one that is not known here, a number.
	Kind string
	// Size and Available are in bytes; what is available is so for everybody.
	Size, Available uint64
	// Files are the inodes that are available; a file system without a limit says 0 of 0.
	Files, FilesAvailable uint64
	ReadOnly              bool
	// Mode are the permission bits, and Owner is the user's number.
	Mode  uint32
	Owner uint32
}

// Link returns the link with the name.
func (s *Space) Link(name string) (Link, bool) {
	for _, l := range s.Links {
		if l.Name == name {
			return l, true
		}
	}
	return Link{}, false
}

// Local reports whether the address is one of the namespace's own, that of a loopback
// included.
func (s *Space) Local(address netip.Addr) bool {
	if address.IsLoopback() {
		return true
	}
	for _, l := range s.Links {
		for _, own := range l.Addresses {
			if own.Addr() == address {
				return true
			}
		}
	}
	return false
}

// Way returns the route by which packets for the address go: the longest prefix, and of
// those the lowest metric. The subnets of the links' own addresses count as routes.
func (s *Space) Way(address netip.Addr) (Route, bool) {
	var best Route
	found := false
	try := func(r Route) {
		if !r.Destination.Contains(address) {
			return
		}
		longer := r.Destination.Bits() > best.Destination.Bits()
		same := r.Destination.Bits() == best.Destination.Bits()
		if !found || longer || same && r.Metric < best.Metric {
			best, found = r, true
		}
	}
	for _, r := range s.Routes {
		try(r)
	}
	for _, l := range s.Links {
		for _, own := range l.Addresses {
			if l.Up {
				try(Route{Destination: own.Masked(), Link: l.Name})
			}
		}
	}
	return best, found
}
