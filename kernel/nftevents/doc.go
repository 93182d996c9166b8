// Package nftevents tells what changes in nf_tables, and who changed it: both back ends of
// the packet filter that live there want to know when somebody else touches what is theirs.
//
// On systems other than Linux it is empty.
package nftevents
