// Package dnet tests the program as a whole: a daemon that is built and started as users
// do, on a machine of its own, and a client beside it.
package dnet
