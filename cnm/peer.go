package cnm

// Peer is a node of a cluster that has a network.
type Peer struct {
	// Name is the node's unique name.
	Name string
	// IP is the node's address, in text.
	IP string
}
