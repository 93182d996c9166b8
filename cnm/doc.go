// Package cnm is the vocabulary of the Container Network Model: the records of
// networks, endpoints and sandboxes, the kinds of error, and the small contracts
// that drivers, address managers and stores fulfil.
//
// It has no behaviour of its own. Records are the truth of the system: whatever
// the kernel holds is a function of them. A record is immutable once it has been
// published; whoever wants another value clones, edits and commits.
package cnm
