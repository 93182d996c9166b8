package host_test

import (
	"errors"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/drivers/host"
)

func TestOnlyTheHostsNamespaceJoins(t *testing.T) {
	driver := host.New()
	ep := &cnm.Endpoint{Interface: "eth0"}
	if _, err := driver.Join(t.Context(), &cnm.Network{}, ep, &cnm.Sandbox{Key: "/run/ns"}); !errors.Is(err, cnm.Forbidden) {
		t.Errorf("error %v, want forbidden", err)
	}
	parts, err := driver.Join(t.Context(), &cnm.Network{}, ep, &cnm.Sandbox{Host: true})
	if err != nil || len(parts) != 0 || ep.Interface != "" {
		t.Errorf("parts %v, interface %q, error %v", parts, ep.Interface, err)
	}
}
