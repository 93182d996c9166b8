package cni

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
)

// daemon is the backend that asks dnet.
type daemon struct{ *client.Client }

func openDaemon(c *configuration) (backend, error) {
	address := c.socket
	if strings.HasPrefix(address, "/") {
		address = "unix://" + address
	}
	asked, err := client.New(address)
	if err != nil {
		return nil, invalid("key \"socket\" with value %q: %s", c.socket, err)
	}
	return daemon{asked}, nil
}

func (d daemon) close() error {
	d.Close()
	return nil
}

// add asks for what is usual, in one request: the network is as this configuration made it,
// and the container has no other attachment. It looks at what there is only if the daemon
// refuses.
func (d daemon) add(ctx context.Context, c *configuration) (*attached, error) {
	made, err := d.attach(ctx, c, c.network.Name, c.network.labels(), nil)
	if !errors.Is(err, cnm.NotFound) && !errors.Is(err, cnm.Exists) {
		return made, err
	}
	n, err := d.network(ctx, &c.network)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(longestEnding)
	for pause := creationPause; ; pause = min(2*pause, longestPause) {
		if err := d.dropStale(ctx, n.Name, &c.attachment); err != nil {
			return nil, err
		}
		sb, err := d.sandbox(ctx, c.attachment.container)
		if err != nil {
			return nil, err
		}
		made, err := d.attach(ctx, c, n.ID, nil, sb)
		ending := sb == nil && errors.Is(err, cnm.Exists) || sb != nil && errors.Is(err, cnm.NotFound)
		if !ending || time.Now().After(end) {
			return made, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(pause):
		}
	}
}

// attach connects the sandbox, and makes it if the container has none, if the network has
// the labels.
func (d daemon) attach(ctx context.Context, c *configuration, network string, labels map[string]string, sb *api.Sandbox) (*attached, error) {
	a := &c.attachment
	wish := api.NetworkConnect{EndpointCreate: a.endpointCreate(), NetworkLabels: labels}
	switch {
	case sb == nil:
		wish.Sandbox = c.sandboxCreate()
	case sb.Key != a.netns && !sameNamespace(sb.Key, a.netns):
		return nil, badEnvironment("CNI_NETNS %q: the container %q is attached with another namespace, %q", a.netns, a.container, sb.Key)
	default:
		wish.Container = sb.ID
	}
	made, err := d.Connect(ctx, network, wish)
	if err != nil {
		return nil, err
	}
	return describeEndpoint(made), nil
}

// sandboxCreate makes the daemon ask the servers that the configuration names.
func (c *configuration) sandboxCreate() *api.SandboxCreate {
	wanted := c.nameResolution()
	return &api.SandboxCreate{
		ContainerID: c.attachment.container, Namespace: c.attachment.netns,
		DNS: wanted.Nameservers, DNSSearch: wanted.Search, DNSOptions: wanted.Options,
	}
}

func (a *attachment) endpointCreate() api.EndpointCreate {
	options := map[string]string{netlabel.Ifname: a.ifname}
	maps.Copy(options, a.limits)
	return api.EndpointCreate{
		Name: a.key().endpointName(), MyAliases: a.aliases, IPv4: a.ipv4, IPv6: a.ipv6, MAC: a.mac,
		DriverOpts: options, Labels: a.labels(), Ports: a.ports,
	}
}

// resolverAddress is where the daemon's DNS server of each container is.
func resolverAddress() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 11}) }

func describeEndpoint(e api.Endpoint) *attached {
	out := &attached{mac: e.MAC, addresses: e.Addresses, gateways: e.Gateways, resolver: resolverAddress()}
	for _, r := range e.Routes {
		out.routes = append(out.routes, route{r.Destination, r.NextHop})
	}
	for _, name := range append(e.NetworkLinks, e.HostLinks...) {
		out.hostLinks = append(out.hostLinks, hostLink{name: name})
	}
	return out
}

// Another process may make a network at the same time: its name is taken before it can be
// found. That takes some milliseconds; who waits longer is told.
const (
	creationPause = 5 * time.Millisecond
	longestPause  = 100 * time.Millisecond
	longestWait   = 2 * time.Second
	// longestEnding is how long to wait for the daemon to take back what it was making for an
	// ADD that was killed: there is something in the way, and nothing to be seen.
	longestEnding = 500 * time.Millisecond
)

// network returns the network, made if it is missing.
func (d daemon) network(ctx context.Context, wish *network) (api.Network, error) {
	n, err := d.Network(ctx, wish.Name)
	end := time.Now().Add(longestWait)
	for pause := creationPause; errors.Is(err, cnm.NotFound); pause = min(2*pause, longestPause) {
		_, createErr := d.CreateNetwork(ctx, wish.create())
		if createErr != nil && !errors.Is(createErr, cnm.Exists) {
			return n, createErr
		}
		if n, err = d.Network(ctx, wish.Name); errors.Is(err, cnm.NotFound) {
			if createErr != nil && time.Now().After(end) {
				return n, createErr // not the name, but the subnet or the bridge is another's
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
	if err != nil {
		return n, err
	}
	if differs := wish.differs(summaryOf(n)); differs != "" {
		return n, invalid("network %q: the daemon has it with another configuration (%s); say the same, or delete it first: dnet network rm %s", n.Name, differs, n.Name)
	}
	return n, nil
}

func (n *network) create() api.NetworkCreate {
	out := api.NetworkCreate{
		Name: n.Name, NetworkType: n.Driver, DriverOpts: n.Options, Labels: n.labels(),
		EnableIPv4: &n.IPv4, EnableIPv6: n.IPv6, Internal: n.Internal,
	}
	for _, s := range n.Subnets {
		pool := api.IPAMConfig{PreferredPool: s.Subnet, SubPool: s.Range, Gateway: s.Gateway, AuxAddresses: s.Aux}
		if strings.Contains(s.Subnet, ":") {
			out.IPv6Conf = append(out.IPv6Conf, pool)
		} else {
			out.IPv4Conf = append(out.IPv4Conf, pool)
		}
	}
	return out
}

func summaryOf(n api.Network) summary {
	out := summary{
		driver: n.Type, ipv4: n.EnableIPv4, ipv6: n.EnableIPv6,
		internal: n.Internal, options: n.DriverOpts, labels: n.Labels,
	}
	for _, s := range n.Subnets {
		out.subnets = append(out.subnets, s.Pool)
	}
	return out
}

// sandbox returns that of a container, or nil.
func (d daemon) sandbox(ctx context.Context, container string) (*api.Sandbox, error) {
	found, err := d.Sandboxes(ctx, client.SandboxFilter{ContainerID: container})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// endpoint returns an attachment, or nil.
func (d daemon) endpoint(ctx context.Context, network string, k key) (*api.Endpoint, error) {
	found, err := d.Endpoints(ctx, client.EndpointFilter{
		Network: network, Labels: []string{labelContainer + "=" + k.container, labelInterface + "=" + k.ifname},
	})
	if err != nil || len(found) == 0 {
		return nil, ignoreGone(err)
	}
	return &found[0], nil
}

// dropStale deletes what an ADD that was killed, or a container that ended without a DEL,
// has left in the way. An attachment that lives is an error.
func (d daemon) dropStale(ctx context.Context, network string, a *attachment) error {
	sb, err := d.sandbox(ctx, a.container)
	if err != nil {
		return err
	}
	if sb != nil && !sameNamespace(sb.Key, sb.Key) {
		if err := ignoreGone(d.DeleteSandbox(ctx, sb.ID)); err != nil {
			return err
		}
	}
	ep, err := d.endpoint(ctx, network, a.key())
	if err != nil || ep == nil {
		return err
	}
	exists := cnm.E("", cnm.Exists, fmt.Errorf("container %q has its interface %q in network %q already; DEL comes first", a.container, a.ifname, network))
	if ep.SandboxID != "" {
		return exists
	}
	// It may join just now, by another ADD: only what has not is in the way.
	if err = ignoreGone(d.DeleteEndpoint(ctx, ep.ID, false)); errors.Is(err, cnm.Forbidden) {
		return exists
	}
	return err
}

func (d daemon) delete(ctx context.Context, network string, k key) error {
	ep, err := d.endpoint(ctx, network, k)
	if err != nil {
		return err
	}
	if ep != nil {
		if err := ignoreGone(d.DeleteEndpoint(ctx, ep.ID, true)); err != nil {
			return err
		}
	}
	sb, err := d.sandbox(ctx, k.container)
	if err != nil || sb == nil || len(sb.Endpoints) > 0 {
		return err
	}
	return ignoreGone(d.DeleteSandbox(ctx, sb.ID))
}

func (d daemon) check(ctx context.Context, c *configuration) (*attached, []string, error) {
	n, err := d.Network(ctx, c.network.Name)
	if err != nil {
		return nil, nil, err
	}
	ep, err := d.endpoint(ctx, n.Name, c.attachment.key())
	if err != nil {
		return nil, nil, err
	}
	if ep == nil || ep.SandboxID == "" {
		return nil, nil, errNoAttachment(c)
	}
	report, err := d.Repair(ctx, client.RepairOptions{DryRun: true, Sandbox: ep.SandboxID})
	if err != nil {
		return nil, nil, err
	}
	var changes []string
	for _, difference := range report.Differences {
		changes = append(changes, difference.Changes...)
	}
	return describeEndpoint(*ep), append(changes, report.Errors...), nil
}

// status also says when containers that are there suffer: without the daemon nobody
// answers their names.
func (d daemon) status(ctx context.Context, c *configuration) error {
	health, err := d.Health(ctx)
	if err != nil {
		limited := coded(err)
		limited.Code = types.ErrLimitedConnectivity
		return limited
	}
	if !health.Healthy {
		return fail(types.ErrLimitedConnectivity, "the daemon at %s is not well: %s", d.Address(), strings.Join(health.Problems, "; "))
	}
	n, err := d.Network(ctx, c.network.Name)
	if errors.Is(err, cnm.NotFound) {
		return nil // it will be made
	}
	if err != nil {
		return unavailable(err)
	}
	if differs := c.network.differs(summaryOf(n)); differs != "" {
		return fail(types.ErrPluginNotAvailable, "network %q: the daemon has it with another configuration (%s)", n.Name, differs)
	}
	var use []libnetwork.SubnetUse
	for _, s := range n.Subnets {
		u := libnetwork.SubnetUse{Pool: s.Pool, Holders: make([]libnetwork.AddressHolder, s.Used)}
		if s.Available != nil {
			u.Available, u.Known = *s.Available, true
		}
		use = append(use, u)
	}
	return exhausted(n.Name, use)
}

// collect leaves alone what is not of this plugin's making: others use the daemon too.
func (d daemon) collect(ctx context.Context, network string, valid map[key]bool) error {
	found, err := d.Endpoints(ctx, client.EndpointFilter{Network: network, Labels: []string{labelContainer}})
	if err != nil && !errors.Is(err, cnm.NotFound) {
		return err
	}
	var attachments []key
	for _, ep := range found {
		attachments = append(attachments, keyOf(ep.Labels))
	}
	errs := removeInvalid(attachments, valid, func(k key) error { return d.delete(ctx, network, k) })
	if _, err := d.Repair(ctx, client.RepairOptions{}); err != nil {
		errs = append(errs, err)
	}
	n, err := d.Network(ctx, network)
	if err == nil && len(n.Endpoints) == 0 && n.Labels[labelNetwork] != "" {
		errs = append(errs, ignoreGone(d.DeleteNetwork(ctx, n.ID)))
	}
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return joined(errs)
}
