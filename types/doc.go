// Package types holds the plain values of the public API: ports and protocols,
// routes, statistics, helpers for net.IP and net.IPNet, and the marker interfaces
// that tell kinds of error apart.
//
// It keeps the net package's types, as the API of 2017 has them. Every helper
// copes with nil.
package types
