// Package rtnl speaks rtnetlink: it makes and reads links, addresses, routes and
// neighbours.
//
// A [Conn] is a socket in one namespace. It sends any number of requests in one
// datagram and reads all the answers, so that attaching a container costs a few
// system calls. Requests are values built by the functions of this package.
package rtnl

// Protocol marks addresses, routes and neighbours as ours, in IFA_PROTO,
// rtm_protocol and NDA_PROTOCOL. The kernel leaves numbers above 4 to user space
// (include/uapi/linux/rtnetlink.h); this one is not in iproute2's rt_protos.
const Protocol = 108

// Group is the interface group of the links that we make (IFLA_GROUP). Unlike the
// alias it is set in the very request that makes the link, so that a link can be
// told to be ours even if the process died before it could write the alias.
const Group = 108
