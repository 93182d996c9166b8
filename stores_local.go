//go:build localstores

package libnetwork

import (
	"fmt"
	"log/slog"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore"
)

// openRemoteStore refuses: programs that are started for each container are built without
// the clients of servers, which would take longer to start than what they do.
func openRemoteStore(client datastore.ScopeClientCfg, _ *slog.Logger) (cnm.Store, error) {
	return nil, cnm.E("", cnm.Unsupported, fmt.Errorf("store %q: not in this build, which has %q and %q only",
		client.Provider, datastore.ProviderBolt, datastore.ProviderMemory))
}
