// Package versioned is a store on servers that can replace one value if it is still of
// a known version, along with others, at once; but that cannot read several values of
// one moment later on.
//
// One entry, the head, is written by every commit, which is made only if the head is the
// one that the commit's reads belong to. So commits happen one after the other, whatever
// they are about, and each saw all those before it. The head lists the keys of the last
// commits: a process keeps the entries of the latest head it knows, and reads only what
// has changed since. It also lists their ids, so that a commit whose answer was lost is
// known to have been made, or not.
package versioned
