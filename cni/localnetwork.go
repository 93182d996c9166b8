package cni

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
)

// network returns the network, made if it is missing: then it is fresh. If the
// configuration has changed since, it is made anew, which takes that nobody is in it.
func (b *local) network(ctx context.Context, wish *network) (n libnetwork.Network, fresh bool, err error) {
	n, err = b.controller.NetworkByName(wish.Name)
	switch {
	case errors.Is(err, cnm.NotFound):
		n, err = b.createNetwork(ctx, wish)
		return n, true, err
	case err != nil:
		return nil, false, err
	}
	differs := wish.differs(b.summary(n))
	if differs == "" {
		return n, false, nil
	}
	if used := len(n.Endpoints()); used > 0 {
		return nil, false, invalid("network %q: was made with another configuration (%s) and has %d containers; put that back, or remove them first", wish.Name, differs, used)
	}
	if err := n.DeleteContext(ctx); err != nil {
		return nil, false, err
	}
	n, err = b.createNetwork(ctx, wish)
	return n, true, err
}

// createNetwork first makes sure of the networks there are: should the packet filter have
// lost them, it would look whole again with the new one.
func (b *local) createNetwork(ctx context.Context, wish *network) (libnetwork.Network, error) {
	if !b.mended && len(b.controller.Networks()) > 0 {
		b.mend(ctx, "before there is a new network")
	}
	var pools [2][]*libnetwork.IpamConf
	for _, s := range wish.Subnets {
		family := 0
		if strings.Contains(s.Subnet, ":") {
			family = 1
		}
		pools[family] = append(pools[family], &libnetwork.IpamConf{PreferredPool: s.Subnet, SubPool: s.Range, Gateway: s.Gateway, AuxAddresses: s.Aux})
	}
	options := []libnetwork.NetworkOption{
		libnetwork.NetworkOptionEnableIPv4(wish.IPv4), libnetwork.NetworkOptionEnableIPv6(wish.IPv6),
		libnetwork.NetworkOptionDriverOpts(wish.Options), libnetwork.NetworkOptionLabels(wish.labels()),
		libnetwork.NetworkOptionIpam("", "", pools[0], pools[1], nil),
	}
	if wish.Internal {
		options = append(options, libnetwork.NetworkOptionInternalNetwork())
	}
	return b.controller.NewNetworkContext(ctx, wish.Driver, wish.Name, "", options...)
}

// labels have the whole wish.
func (n *network) labels() map[string]string { return map[string]string{labelNetwork: n.text()} }

// text is the same for equal wishes: maps are sorted by key.
func (n *network) text() string {
	text, err := json.Marshal(n)
	if err != nil {
		return fmt.Sprintf("%+v", *n) // cannot be: it has text and numbers only
	}
	return string(text)
}

// summary is what a network that is there is like.
type summary struct {
	driver   string
	subnets  []netip.Prefix
	ipv4     bool
	ipv6     bool
	internal bool
	options  map[string]string
	labels   map[string]string
}

func (b *local) summary(n libnetwork.Network) summary {
	for _, rec := range b.inspector.Records().Networks {
		if rec.ID != n.ID() {
			continue
		}
		out := summary{
			driver: rec.Driver, ipv4: rec.EnableIPv4, ipv6: rec.EnableIPv6,
			internal: rec.Internal, options: rec.Options, labels: rec.Labels,
		}
		for _, s := range slices.Concat(rec.Subnets4, rec.Subnets6) {
			out.subnets = append(out.subnets, s.Pool.Prefix)
		}
		return out
	}
	return summary{}
}

// differs names a key of which a network that is there says otherwise, or is empty. One
// that was made here must be the same in all. Of one that somebody else made just the keys
// count that were given.
func (n *network) differs(is summary) string {
	made, ours := is.labels[labelNetwork]
	if ours && made == n.text() {
		return ""
	}
	given := func(key string, differs bool) string {
		if (ours || n.given[key]) && differs {
			return "key \"" + key + "\""
		}
		return ""
	}
	subnets := slices.ContainsFunc(n.Subnets, func(s subnet) bool {
		p, err := netip.ParsePrefix(s.Subnet)
		return err != nil || !slices.Contains(is.subnets, p)
	})
	options := false
	for name, value := range n.Options {
		options = options || is.options[name] != value
	}
	for _, found := range []string{
		given("driver", is.driver != n.Driver), given("subnets", subnets), given("options", options),
		given("internal", is.internal != n.Internal), given("ipv4", is.ipv4 != n.IPv4), given("ipv6", is.ipv6 != n.IPv6),
	} {
		if found != "" {
			return found
		}
	}
	if ours {
		return "was " + made
	}
	return ""
}
