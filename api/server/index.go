package server

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
)

// index finds records by what people call them.
type index struct {
	libnetwork.Records
	inspector libnetwork.Inspector
	networks  map[string]*cnm.Network    // by id
	sandboxes map[string]*cnm.Sandbox    // by id
	endpoints map[string]*cnm.Endpoint   // by id
	members   map[string][]*cnm.Endpoint // by network's id, sorted as all are
}

func newIndex(records libnetwork.Records, inspector libnetwork.Inspector) *index {
	x := &index{
		Records: records, inspector: inspector,
		networks: make(map[string]*cnm.Network), sandboxes: make(map[string]*cnm.Sandbox),
		endpoints: make(map[string]*cnm.Endpoint), members: make(map[string][]*cnm.Endpoint),
	}
	slices.SortFunc(x.Networks, func(a, b *cnm.Network) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(x.Sandboxes, func(a, b *cnm.Sandbox) int {
		return cmp.Or(strings.Compare(a.ContainerID, b.ContainerID), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(x.Endpoints, func(a, b *cnm.Endpoint) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.ID, b.ID))
	})
	for _, n := range x.Networks {
		x.networks[n.ID] = n
	}
	for _, sb := range x.Sandboxes {
		x.sandboxes[sb.ID] = sb
	}
	for _, e := range x.Endpoints {
		x.endpoints[e.ID] = e
		x.members[e.NetworkID] = append(x.members[e.NetworkID], e)
	}
	return x
}

// shortestPrefix is how much of an id stands for it at least. A shorter key is more likely
// the name of something that has gone, and must not hit another thing.
const shortestPrefix = 6

// find returns the one whose id or, if there is none, one of whose names is the key, or else
// the one whose id begins with it.
func find[R any](what, key string, all []R, id func(R) string, names func(R) []string) (found R, err error) {
	if key == "" {
		return found, invalid("%s: no name or id is given", what)
	}
	var byName, byPrefix []R
	for _, r := range all {
		switch {
		case id(r) == key:
			return r, nil
		case slices.Contains(names(r), key):
			byName = append(byName, r)
		case len(key) >= shortestPrefix && strings.HasPrefix(id(r), key):
			byPrefix = append(byPrefix, r)
		}
	}
	matches := byName
	if len(matches) == 0 {
		matches = byPrefix
	}
	switch len(matches) {
	case 0:
		return found, cnm.E(quote(what, key), cnm.NotFound, errors.New("not found"))
	case 1:
		return matches[0], nil
	}
	var ids []string
	for _, r := range matches {
		ids = append(ids, fmt.Sprintf("%s (%s)", id(r), names(r)[0]))
	}
	return found, cnm.E(quote(what, key), cnm.Invalid, fmt.Errorf("is ambiguous; name one of %s", strings.Join(ids, ", ")))
}

func (x *index) network(key string) (*cnm.Network, error) {
	return find("network", key, x.Networks, func(n *cnm.Network) string { return n.ID }, func(n *cnm.Network) []string { return []string{n.Name} })
}

// endpoint finds one of a network, or with an empty network's id one of all; then a name
// may have the network's behind it, as in web.frontend.
func (x *index) endpoint(networkID, key string) (*cnm.Endpoint, error) {
	if e := x.endpoints[key]; e != nil && (networkID == "" || networkID == e.NetworkID) {
		return e, nil
	}
	all := x.Endpoints
	if networkID != "" {
		all = x.endpointsOf(networkID)
	}
	return find("endpoint", key, all, func(e *cnm.Endpoint) string { return e.ID }, func(e *cnm.Endpoint) []string {
		return []string{e.Name, e.Name + "." + x.networkName(e.NetworkID)}
	})
}

// sandbox finds one by its id or by that of its container.
func (x *index) sandbox(key string) (*cnm.Sandbox, error) {
	return find("sandbox", key, x.Sandboxes, func(s *cnm.Sandbox) string { return s.ID }, func(s *cnm.Sandbox) []string { return []string{s.ContainerID} })
}

func (x *index) networkName(id string) string {
	if n := x.networks[id]; n != nil {
		return n.Name
	}
	return ""
}

func (x *index) endpointsOf(networkID string) []*cnm.Endpoint { return x.members[networkID] }

// container returns the id of the container whose sandbox the endpoint is in.
func (x *index) container(e *cnm.Endpoint) string {
	if sb := x.sandboxes[e.SandboxID]; sb != nil {
		return sb.ContainerID
	}
	return ""
}
