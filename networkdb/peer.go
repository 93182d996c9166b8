package networkdb

// PeerInfo describes another node that has a network.
type PeerInfo struct {
	// Name is the node's unique name.
	Name string
	// IP is the node's address, in text.
	IP string
}
