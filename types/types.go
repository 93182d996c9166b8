package types

import (
	"fmt"
	"net"
)

// UUID is an identity in text form.
type UUID string

// QosPolicy limits what an endpoint may use of the network.
type QosPolicy struct {
	// MaxEgressBandwidth is in bits a second; 0 means no limit.
	MaxEgressBandwidth uint64
}

// Route types, as callers of 2017 and plugins number them.
const (
	// NEXTHOP means that the route goes through a next hop.
	NEXTHOP = iota
	// CONNECTED means that the destination is on the link.
	CONNECTED
)

// StaticRoute is a route in a sandbox.
type StaticRoute struct {
	Destination *net.IPNet
	// RouteType is NEXTHOP or CONNECTED.
	RouteType int
	// NextHop is nil for CONNECTED.
	NextHop net.IP
}

// GetCopy returns a copy that shares no memory; that of nil is nil.
func (r *StaticRoute) GetCopy() *StaticRoute {
	if r == nil {
		return nil
	}
	return &StaticRoute{
		Destination: GetIPNetCopy(r.Destination),
		RouteType:   r.RouteType,
		NextHop:     GetIPCopy(r.NextHop),
	}
}

// InterfaceStatistics holds the counters of an interface, since it was made.
type InterfaceStatistics struct {
	RxBytes   uint64
	RxPackets uint64
	RxErrors  uint64
	RxDropped uint64
	TxBytes   uint64
	TxPackets uint64
	TxErrors  uint64
	TxDropped uint64
}

// String returns all counters on one line, receiving first.
func (is *InterfaceStatistics) String() string {
	if is == nil {
		return "<nil>"
	}
	return fmt.Sprintf("rx: %d bytes, %d packets, %d errors, %d dropped; tx: %d bytes, %d packets, %d errors, %d dropped",
		is.RxBytes, is.RxPackets, is.RxErrors, is.RxDropped, is.TxBytes, is.TxPackets, is.TxErrors, is.TxDropped)
}

// EncryptionKey is a key that the nodes of a cluster share.
type EncryptionKey struct {
	// Subsystem says what the key is for, for instance "networking:gossip".
	Subsystem string
	// Algorithm is the cluster manager's number for the cipher.
	Algorithm int32
	Key       []byte
	// LamportTime orders keys: the highest is the newest.
	LamportTime uint64
}
