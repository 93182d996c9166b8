package remote

import (
	"encoding/json"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/linkoption"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin/protocol"
)

// AcceptJoin is what Join does with an answer.
func AcceptJoin(n *cnm.Network, ep *cnm.Endpoint, sandbox *cnm.Sandbox, answer []byte) ([]netstate.Part, error) {
	var reply protocol.JoinReply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return nil, err
	}
	return accept(n, ep, sandbox, &linkoption.Endpoint{}, reply)
}
