// Package netstate is the vocabulary for what a network namespace holds: links,
// addresses, routes, neighbours and sysctls, as plain comparable values.
//
// A [Part] is what one owner (a network, an endpoint, a sandbox) contributes to
// one namespace. A list of parts is a complete wish. [Diff] turns two such lists
// into [Changes], an ordered list of steps; package kernel carries them out.
// Nothing here makes a system call, and nothing here knows what a network is for.
package netstate
