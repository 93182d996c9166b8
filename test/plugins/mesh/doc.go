// Command mesh is a plugin to test with: a network driver and an address manager of
// Docker's plugin protocol, written with the library that Docker has for such plugins. It
// makes a bridge for each network and a pair of links for each endpoint, in the network
// namespace that it runs in.
//
//	mesh FOLDER
//
// listens on mesh.sock and meshipam.sock in the folder, and keeps there what the address
// manager has granted. All else follows from the ids, so that it can be killed and started
// at any time.
//
// It is a module of its own so that its dependencies are nobody else's.
package main
