package libnetwork

import (
	"context"
	"net/netip"
	"strconv"
	"time"

	"github.com/docker/libnetwork/netlabel"
)

// announce tells the neighbours of an endpoint that joined where its addresses are
// now, several times, in the background. Whoever calls it holds the endpoint's lock.
func (ep *endpoint) announce() {
	ep.quiet()
	rec, sb := ep.record.Load(), ep.sandbox()
	var addresses []netip.Addr
	for _, prefix := range []netip.Prefix{rec.IPv4, rec.IPv6} {
		if prefix.IsValid() {
			addresses = append(addresses, prefix.Addr())
		}
	}
	settings := ep.n.announceSettings()
	if sb == nil || sb.record.Load().Handover || len(addresses) == 0 || rec.Interface == "" || rec.MAC.IsZero() || settings.count == 0 {
		return
	}
	c, namespace := ep.n.c, sb.record.Load().Key
	if c.transient {
		settings.count = 1
		c.announceAll(c.background.ctx, namespace, rec.Interface, addresses, settings)
		return
	}
	ctx, cancel := context.WithCancel(c.background.ctx)
	ep.quiet = cancel
	c.background.group.Go(func() {
		defer cancel()
		c.announceAll(ctx, namespace, rec.Interface, addresses, settings)
	})
}

func (c *controller) announceAll(ctx context.Context, namespace, link string, addresses []netip.Addr, settings announceSettings) {
	ticker := time.NewTicker(settings.interval)
	defer ticker.Stop()
	for i := range settings.count {
		if i > 0 {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
		if err := c.host.Container().Announce(ctx, namespace, link, addresses); err != nil && ctx.Err() == nil {
			// The container may be gone, and neighbours learn the addresses in time.
			c.log.Debug("announce addresses", "namespace", namespace, "link", link, "error", err)
			return
		}
	}
}

// announceSettings returns the network's own settings over the controller's. The
// driver has checked the options' bounds.
func (n *network) announceSettings() announceSettings {
	settings, options := n.c.announce, n.record.Load().Options
	if count, err := strconv.Atoi(options[netlabel.AdvertiseAddrNMsgs]); err == nil {
		settings.count = count
	}
	if ms, err := strconv.Atoi(options[netlabel.AdvertiseAddrIntervalMs]); err == nil {
		settings.interval = time.Duration(ms) * time.Millisecond
	}
	return settings
}
