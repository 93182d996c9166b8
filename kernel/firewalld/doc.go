// Package firewalld makes a running firewalld let pass what our own packet filter lets
// pass.
//
// The kernel asks every table on a hook, and a packet lives only if all of them accept
// it. firewalld's table rejects what is forwarded between links that none of its zones
// and policies allow, so an accept of ours is not enough. This package therefore keeps
// in firewalld a zone with the target ACCEPT that holds our bridges, and a policy with
// the target ACCEPT for what is forwarded to that zone from anywhere. With them
// firewalld has no opinion about our bridges, and our own table alone decides.
//
// Zone and policy are in firewalld's permanent configuration, which is the only place
// where they can be made; the links are in the zone at run time only, as they come and
// go with networks. firewalld forgets those when it restarts, so the client puts them
// back, and then tells that it did: whoever has rules where firewalld may have flushed
// them looks after them at that moment.
//
// All of it is over D-Bus (https://firewalld.org/documentation/man-pages/firewalld.dbus.html).
// On systems other than Linux the package is empty.
package firewalld
