package libnetwork

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/resolver"
)

// Inspector tells of a controller what the interfaces of 2017 do not. The controller that
// New returns is one:
//
//	inspector := controller.(libnetwork.Inspector)
type Inspector interface {
	// Records returns what is recorded at the moment. Operations under way are in it or not.
	Records() Records
	// Events returns what happens, from the event behind the one numbered after on, and
	// goes on until ctx is done or the controller stops. Zero begins with the oldest event
	// that is remembered, and a number yet to come with the next one. In place of events
	// that are forgotten, or were those of an earlier controller, there is one with the
	// action EventMissed.
	Events(ctx context.Context, after uint64) iter.Seq[Event]
	// Mend is Repair with a report: what differed, sorted by subject, also if there was an
	// error. Kernel settings are written anew without being compared, and not reported.
	Mend(ctx context.Context, options MendOptions) ([]Difference, error)
	// Resolve tells who answers when a process in the sandbox asks for a name or, by its
	// text form, an address. It asks nobody outside.
	Resolve(sandboxID, name string) (Resolution, error)
	// AddressUse returns the state of a network's addresses, one entry for each subnet, IPv4
	// first.
	AddressUse(networkID string) ([]SubnetUse, error)
	// Statistics returns what the controller has counted since it was made.
	Statistics() Statistics
}

// Records are the records of a controller, each list sorted by id. They are shared: whoever
// wants to change one copies it.
type Records struct {
	Networks  []*cnm.Network
	Endpoints []*cnm.Endpoint
	Sandboxes []*cnm.Sandbox
}

// Event tells of a change that has been recorded and realised.
type Event struct {
	// Sequence grows by one with each event of a controller's life. It begins at the time, in
	// microseconds, so that a later controller's numbers are behind those of an earlier one.
	Sequence uint64
	Time     time.Time
	Type     EventType
	Action   EventAction
	// ID and Name are those of the network or endpoint, or the id of the sandbox and of
	// its container.
	ID, Name string
	// Network and NetworkID are those of the endpoint's network, and SandboxID and
	// Container those of the sandbox that it joined or left.
	Network, NetworkID   string
	SandboxID, Container string
	// Detail says more in words; it may be empty.
	Detail string
}

// EventType says what an event concerns.
type EventType string

// Types of events.
const (
	NetworkEvent    EventType = "network"
	EndpointEvent   EventType = "endpoint"
	SandboxEvent    EventType = "sandbox"
	ControllerEvent EventType = "controller"
)

// EventAction says what has happened.
type EventAction string

// Actions of events.
const (
	EventCreate  EventAction = "create"
	EventDelete  EventAction = "delete"
	EventJoin    EventAction = "join"
	EventLeave   EventAction = "leave"
	EventRename  EventAction = "rename"
	EventRefresh EventAction = "refresh"
	// EventReady: an external sandbox has got its namespace.
	EventReady EventAction = "ready"
	// EventRepair: the controller has mended what differed from the records.
	EventRepair EventAction = "repair"
	// EventMissed: there may have been others before the event that comes next, which the
	// controller does not remember.
	EventMissed EventAction = "missed"
)

// Transient is what a controller made with config.OptionTransient is besides.
type Transient interface {
	// CloseStore lets other processes at the records, while Stop may have to wait until the
	// kernel has freed what was deleted. Nothing else may be called after it but Stop.
	CloseStore() error
}

// MendOptions say how to mend.
type MendOptions struct {
	// DryRun changes nothing.
	DryRun bool
	// Sandbox, if it is not empty, is the id of the one sandbox to mend, with its networks.
	// What has no record is then left alone.
	Sandbox string
	// Progress, if it is not nil, is called after each network and sandbox, from one
	// goroutine.
	Progress func(done, total int, subject string)
}

// Difference is what the kernel held otherwise than the records say.
type Difference struct {
	// Subject is such as `network "web"`, or what it is that has no record.
	Subject string
	// Changes are in the order in which they are to be made.
	Changes []string
}

// Resolution is who answers for a name.
type Resolution struct {
	// Known says that the name is that of a container, or the address in one of the
	// sandbox's networks: then nobody else is asked.
	Known bool
	// Addresses are those of the name, and Name that of the address.
	Addresses []netip.Addr
	Name      string
	// Networks are the names of the sandbox's networks that know the name.
	Networks []string
	// Servers are asked for everything else, in this order.
	Servers []netip.AddrPort
	// Serving says that the sandbox has a DNS server of ours; without one, what is in
	// resolv.conf is asked by the container itself.
	Serving bool
}

// SubnetUse is the state of a subnet's addresses.
type SubnetUse struct {
	Pool netip.Prefix
	// Range, if valid, is the part of the pool that automatic addresses come from.
	Range   netip.Prefix
	Gateway netip.Addr
	// Holders are sorted by address.
	Holders []AddressHolder
	// Available counts the addresses that an endpoint can still get without asking for
	// one. The largest uint64 stands for that or more; Known is false if the address
	// manager does not tell.
	Available uint64
	Known     bool
}

// AddressHolder is who holds an address.
type AddressHolder struct {
	Address netip.Addr
	// Kind is "gateway", "auxiliary" or "endpoint".
	Kind string
	// Name is that of the endpoint, or of the auxiliary address; ID is the endpoint's.
	Name, ID string
	// Container is the id of the container whose sandbox the endpoint is in.
	Container string
}

// Statistics are what a controller has counted.
type Statistics struct {
	// Operations are by the names of what was called, such as "join endpoint", sorted.
	Operations []OperationStatistics
	// Forwarder is what name servers outside were asked.
	Forwarder resolver.ForwarderStatistics
	// Firewall is the back end of the packet filter in use; empty if it cannot be told.
	Firewall string
	// Mended counts the times that something was mended, by Repair or because somebody had
	// changed the packet filter.
	Mended uint64
	// MendError says why the packet filter, which somebody else has changed, is not yet
	// again what the records say; it is empty after the next try that succeeds.
	MendError string
}

// OperationStatistics are those of one kind of operation.
type OperationStatistics struct {
	Name string
	// Failures counts those that ended with an error, by kind.
	Failures map[cnm.Kind]uint64
	// Duration is of all, failed ones too.
	Duration Histogram
}

// Histogram is a distribution of durations.
type Histogram struct {
	// Bounds are the upper bounds of the buckets, inclusive and ascending. Buckets has one
	// entry more, for what is above the last.
	Bounds  []time.Duration
	Buckets []uint64
	Count   uint64
	Sum     time.Duration
}
