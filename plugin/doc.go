// Package plugin finds and calls plugins that speak Docker's plugin protocol: programs
// that serve methods such as NetworkDriver.Join by HTTP, with JSON in both directions,
// mostly on a socket of this host. It knows the protocol and nothing of networks; what
// the methods mean is known in drivers/remote and ipams/remote.
//
// A [Registry] finds plugins by name, in folders. A [Plugin] is a handle that outlives
// restarts of the program behind it: it is activated when it is first called, and again
// when another process has taken its place.
//
// Plugins are not trusted with more than they are asked for. A socket, and a file that
// names one, counts only where nobody but root and our own user could have put it. Each
// answer is bounded in size and in time.
package plugin
