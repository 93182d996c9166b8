package libnetwork

import (
	"context"
	"net"
	"net/netip"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/resolvconf"
	"github.com/docker/libnetwork/resolver"
)

// dnsPort is that of the domain name system (RFC 1035 section 4.2).
const dnsPort = 53

// resolverAddress is where the embedded DNS server of each container is: there, and not in
// any network, so that nobody else reaches it.
func resolverAddress() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 11}) }

// wantsResolver reports whether a sandbox with these endpoints has an embedded DNS server.
func wantsResolver(sandbox *cnm.Sandbox, endpoints []*cnm.Endpoint) bool {
	return sandbox.Ready && sandbox.Own() && slices.ContainsFunc(endpoints, func(rec *cnm.Endpoint) bool {
		return !rec.DisableResolution && (rec.IPv4.IsValid() || rec.IPv6.IsValid())
	})
}

// startResolver makes the sandbox's DNS server listen, if it shall have one and has none,
// while the caller does something else: it is listening when wait returns. Whoever calls
// it holds the sandbox's lock until then.
func (sb *sandbox) startResolver(ctx context.Context, sandbox *cnm.Sandbox, endpoints []*cnm.Endpoint) (wait func()) {
	if sb.c.transient || sb.server.Load() != nil || !wantsResolver(sandbox, endpoints) {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		packets, streams, err := sb.c.host.Container().Listen(ctx, sandbox.Key, netip.AddrPortFrom(resolverAddress(), dnsPort))
		if err != nil {
			// The container has its networks all the same, and the name servers that are in
			// its resolv.conf without us.
			sb.c.log.Error("start the embedded DNS server", "container", sandbox.ContainerID, "error", err)
			return
		}
		sb.server.Store(resolver.Serve(packets, streams, resolver.Options{
			View: sb.look, Upstreams: sb.nameServers, Forwarder: sb.c.forwarder,
			Log: sb.c.log.With("container", sandbox.ContainerID),
		}))
	}()
	return func() { <-done }
}

// stopResolver ends the sandbox's DNS server, if there is one.
func (sb *sandbox) stopResolver() {
	server := sb.server.Swap(nil)
	if server == nil {
		return
	}
	_ = server.Close() // the error is always nil
	sb.c.forwarder.Forget(sb.record.Load().Key)
}

// nameServers are those to ask for what no container is called. Internal networks have no
// way out, not for questions either.
func (sb *sandbox) nameServers() []resolver.Upstream {
	if upstreams := sb.upstreams.Load(); upstreams != nil {
		return *upstreams
	}
	return nil
}

// setNameServers takes those that the sandbox's resolv.conf would name without us. Answers
// that come in by a container's namespace, where it may forge them, are kept for that
// container only; those that the host gets are for all.
func (sb *sandbox) setNameServers(servers []resolvconf.External) {
	inside := !slices.ContainsFunc(sb.members(), func(ep *endpoint) bool { return !ep.n.record.Load().Internal })
	upstreams := make([]resolver.Upstream, 0, len(servers))
	key, c := sb.record.Load().Key, sb.c
	for _, server := range servers {
		u := resolver.Upstream{Address: netip.AddrPortFrom(server.Addr, dnsPort), Key: key}
		u.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			return c.host.Container().Dial(ctx, key, network, address)
		}
		if server.Host {
			u.Key, u.Dial = "", c.host.Ports().Dial
		}
		upstreams = append(upstreams, u)
	}
	if inside {
		upstreams = nil
	}
	sb.upstreams.Store(&upstreams)
}
