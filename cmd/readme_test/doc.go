// Command readme_test is the first program of the README, as it stands there: a bridge
// network with one container. It needs root, and a controller of its own: no dnet daemon
// may run with the same data.
package main
