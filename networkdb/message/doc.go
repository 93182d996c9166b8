// Package message is the language of network databases: what they write into the packets
// and streams between nodes, as values, and its encoding.
//
// The encoding is that of Protocol Buffers, version 3, with the field numbers that the
// networking library of Docker uses, so that both can share a cluster. Fields that a
// reader does not know are skipped, absent ones are zero. [Digest] is ours alone; it
// travels in a field that others skip.
//
// Decoding never trusts a length: a malformed message is an error of kind cnm.Invalid,
// and what decoding allocates is bounded by the size of what was received. Decoded byte
// slices alias the input; decoded strings do not.
package message
