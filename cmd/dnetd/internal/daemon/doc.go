// Package daemon is what dnetd does: it reads the configuration, makes a controller of it,
// serves its API on sockets, and ends in an orderly way. [Run] is all of
// it. The containers' networks do not need the daemon to run; they stay when it ends, and
// the next one finds them.
package daemon
