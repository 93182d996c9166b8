//go:build localstores

package libnetwork

import (
	"errors"

	"github.com/docker/libnetwork/cluster"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// clusterNode is nothing: programs that are started for each container take no part in a
// cluster.
type clusterNode struct{}

func newClusterNode() clusterNode { return clusterNode{} }

func (*clusterNode) poke()                             {}
func (*clusterNode) clustered() bool                   { return false }
func (*clusterNode) endpoints(string) map[string]named { return nil }
func (*clusterNode) peers(string) []cnm.Peer           { return nil }

func (c *controller) SetClusterProvider(provider cluster.Provider) {
	if provider != nil {
		c.log.Error("set cluster provider: this build has no clusters; the provider is not used")
	}
}

func (c *controller) AgentInitWait() {}

func (c *controller) SetKeys([]*types.EncryptionKey) error {
	return operationError("set keys", cnm.E("", cnm.Unsupported, errors.New("this build has no clusters")))
}
