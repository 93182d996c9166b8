// Package manage is how operators look at what a plugin has for a container engine, and
// remove what the engine has forgotten: methods beside those of the engine, at the same
// socket. It imports next to nothing, so that a command line need not bring the networks
// along.
package manage

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin/protocol"
)

// Methods that are not the engine's: operators look by them at what there is for it, and
// remove what it has forgotten.
const (
	List  = "Dnet.List"
	Prune = "Dnet.Prune"
)

// Listing answers List, whose request is empty.
type Listing struct {
	Networks []ListedNetwork
	// Pools are those of the address manager.
	Pools []ListedPool
}

// ListedNetwork is a network that was made for the engine, by the engine's id.
type ListedNetwork struct {
	ID        string
	Name      string
	Driver    string
	Subnets   []string
	Created   time.Time
	Endpoints []ListedEndpoint
}

// ListedEndpoint is an endpoint, by the engine's id.
type ListedEndpoint struct {
	ID                   string
	Address, AddressIPv6 string
	MacAddress           string
	// Interface is its name on the host until the engine takes it, and Key the namespace in
	// which the engine puts it; both are empty while the endpoint is in no container.
	Interface string
	Key       string
	Ports     []protocol.PortBinding
	Created   time.Time
}

// ListedPool is a pool of the address manager.
type ListedPool struct {
	ID        string
	Pool      string
	SubPool   string `json:",omitempty"`
	Granted   time.Time
	Addresses []ListedAddress
}

// ListedAddress is an address in it.
type ListedAddress struct {
	Address string
	Gateway bool
	Granted time.Time
}

// PruneRequest says what the engine has. All else goes.
type PruneRequest struct {
	// Networks are all networks of the engine, those of other drivers too: they may have
	// addresses from here.
	Networks []KeptNetwork
	// Age is how old something must be to go, in seconds: the engine may be about to make
	// what belongs to it. Zero means one minute.
	Age int
	// DryRun only tells.
	DryRun bool
}

// KeptNetwork is a network that the engine has.
type KeptNetwork struct {
	ID string
	// Subnets are its own, wherever they come from: engines name an address manager in more
	// than one way.
	Subnets []string
	// Endpoints are the ids of those in it.
	Endpoints []string
	// Addresses are all that it or its endpoints have, with or without length.
	Addresses []string
}

// PruneReply tells what went, or what would.
type PruneReply struct {
	// Removed has a line for each thing.
	Removed []string
	// Problems say what could not be removed.
	Problems []string
}

// Folder is where engines look for the sockets of plugins.
const Folder = "/run/docker/plugins"

// SocketPath returns where engines look for the plugin of that name.
func SocketPath(name string) string { return filepath.Join(Folder, name+".sock") }

// longestName leaves room for the folder in the path of a socket, which has 107 bytes at
// most (unix(7)).
const longestName = 64

// CheckName refuses what would not be found, or would lead elsewhere.
func CheckName(name string) error {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_.-", r)
	}
	if name == "" || len(name) > longestName || strings.HasPrefix(name, ".") || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return cnm.E(fmt.Sprintf("plugin name %q", name), cnm.Invalid, fmt.Errorf(
			"want 1 to %d letters, digits, '_', '-' and '.', which it does not begin with", longestName))
	}
	return nil
}
