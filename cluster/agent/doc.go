// Package agent is this node's part in a cluster: it takes part in the gossip database of
// package networkdb, with the keys that the cluster manager hands out, attaches to the
// networks that this node has, and carries the endpoints on them.
//
// The records are those of the table endpoint_table of Docker's networking library, so that
// nodes of both know each other's endpoints.
package agent
