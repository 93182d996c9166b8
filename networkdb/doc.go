// Package networkdb is a database that the nodes of a cluster replicate among themselves
// by gossip, without a server.
//
// Nodes join networks. Each network has tables; an entry of a table has a key, a value
// and an owner, the one node that may change it. Nodes that joined a network hold all its
// entries, and agree on them in the end, whatever is lost, delayed or repeated between
// them.
//
// # What is shown
//
// A node stores every version of an entry that is newer than what it had, in order of
// Lamport time. Whether an entry is shown, by [NetworkDB.GetEntry], [NetworkDB.WalkTable]
// and [NetworkDB.Watch], follows from three facts: it is not deleted, its owner is an
// active member of the cluster, and its owner is attached to the network. So the entries
// of a node that fails are hidden, and come back with it. If several nodes own entries
// with the same key, the newest is shown.
//
// # How it spreads
//
//   - Own changes, and what is news, go to a few random nodes at once, packed into packets;
//     a node that hears from others what it was about to tell tells it less often.
//   - Every second a node compares sums with a random one; where they differ, the two
//     find out which entries one of them lacks, and send these only. See message.Digest.
//   - All entries are sent over a stream, to and fro, at joining a network, and every 30
//     seconds with a random node that does not compare sums.
//   - Who is attached to what travels by memberlist's own broadcasts and exchanges.
//   - Each node watches over what others say in its name. It contradicts, with a newer time,
//     what is not so: an entry or attachment left over from an earlier life of it, say.
//
// Only comparing sums needs nodes of this package. The networking library of Docker does
// the rest, but for the last, and a cluster may have nodes of both.
//
// # Locks
//
// [NetworkDB] has one lock, over its state; it is never held while something is sent, and
// nothing of memberlist's that takes a lock is called with it. A watcher has a lock of its
// own, which is taken last.
package networkdb
