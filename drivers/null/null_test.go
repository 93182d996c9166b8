package null_test

import (
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/null"
)

func TestJoinGivesNothing(t *testing.T) {
	ep := &cnm.Endpoint{Interface: "eth0"}
	parts, err := null.New().Join(t.Context(), &cnm.Network{}, ep, &cnm.Sandbox{Key: "/run/ns"})
	if err != nil || len(parts) != 0 || ep.Interface != "" {
		t.Errorf("parts %v, interface %q, error %v", parts, ep.Interface, err)
	}
}
