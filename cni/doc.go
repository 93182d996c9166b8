// Package cni is a plugin for the Container Network Interface (CNI), in the versions 0.3.0
// to 1.1.0 of its specification: runtimes such as containerd, CRI-O and podman start it for
// each container that comes or goes. The program is cmd/dnet-cni.
//
// One plugin does what takes several others together: interfaces, addresses, published
// ports, bandwidth, names. It works in one of two ways:
//
//   - without a daemon: it opens the controller on records of its own, does the one
//     operation, and ends. Between operations nothing runs. A file lock keeps two of them
//     apart.
//   - with the key "socket": it asks the daemon dnet, whose containers and those of the
//     runtime can then share networks and names.
//
// Whatever the configuration says that would not be done is refused. Deletions need no
// more of it than where the records are, and succeed if there is nothing left.
package cni
