// Package libnetwork gives containers networks, by the Container Network Model: a
// sandbox is a container's network stack, a network is a set of endpoints that reach
// each other, and an endpoint that joins a sandbox gives it an interface.
//
// [New] returns a controller; everything else comes from it. What it makes stays
// when the program ends, and a new controller on the same data dir finds it again.
//
// # How it works
//
// Records are the truth. Networks, endpoints and sandboxes are values in a store;
// links, addresses, routes and the rules of the packet filter are a function of them. Every operation has four steps,
// in this order, in one function, with one undo stack:
//
//	reserve   addresses, names, ports of the host, and what the driver says is needed (parts)
//	record    one commit
//	realise   kernel.Apply(netstate.Diff(parts before, parts after))
//	announce  hosts file, DNS, ARP and neighbour advertisements; cannot fail the operation
//
// A controller that dies on the way leaves records that a restart completes, or
// links with our mark that a restart deletes.
//
// # Locks
//
// A record is never changed once it is published: operations copy it, edit the copy,
// commit that, and swap a pointer. Readers take no operation's lock.
//
// Each network, sandbox and endpoint has one lock for operations on it. They are
// taken in this order: networks by id, sandboxes by id, endpoints. Deleting a network
// takes the network's; joining, leaving and deleting take those of the sandbox and the
// endpoint. Nobody waits for a network's lock while holding another one. Behind all of
// them comes the one lock for networks that hang on a parent, while they come and go.
//
// controller.mu guards maps and what is in them, and is never held across I/O.
package libnetwork
