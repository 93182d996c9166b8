package networkdb

import "github.com/docker/libnetwork/cnm"

// PeerInfo describes another node that has a network.
type PeerInfo = cnm.Peer
