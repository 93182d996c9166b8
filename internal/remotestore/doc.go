// Package remotestore holds what stores on servers have in common, whichever the
// servers: how their address is written, their options, the transaction that buffers
// what a function writes, and the patience with a server that does not answer.
package remotestore
