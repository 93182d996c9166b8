package discovery

import (
	"errors"
	"fmt"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Source is where nodes are known.
type Source struct {
	// Static is the list itself, if it is one.
	Static Static
	// Provider and Address say which store otherwise: the names of package datastore,
	// and what the store's Open takes.
	Provider, Address string
}

// DefaultPath is where a store has the nodes unless the source says otherwise, as it was
// in the first releases.
const DefaultPath = "docker/nodes"

// ParseSource reads nodes://192.0.2.[1-20]:2377,node21:2377, or provider://host:port/path
// with one of the providers given. The path, DefaultPath if there is none, is the prefix
// of the store's keys. Anything else is Invalid.
func ParseSource(text string, providers ...string) (Source, error) {
	const op = "discovery of nodes"
	scheme, rest, ok := strings.Cut(strings.TrimSpace(text), "://")
	if !ok || rest == "" {
		return Source{}, cnm.E(op, cnm.Invalid, errors.New("source: is not a URL such as nodes://192.0.2.[1-20]:2377 or etcd://192.0.2.1:2379"))
	}
	if scheme == "nodes" {
		list, err := ParseStatic(rest)
		return Source{Static: list}, cnm.Wrap(op, err)
	}
	for _, provider := range providers {
		if scheme != provider {
			continue
		}
		servers, path, _ := strings.Cut(rest, "/")
		if path = strings.Trim(path, "/"); path == "" {
			path = DefaultPath
		}
		return Source{Provider: provider, Address: servers + "/" + path}, nil
	}
	return Source{}, cnm.E(op, cnm.Invalid, fmt.Errorf("source: kind %q is not known; there are %q", scheme, append([]string{"nodes"}, providers...)))
}
