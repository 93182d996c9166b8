package cni

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/containernetworking/cni/pkg/types"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/internal/atomicfile"
	"github.com/docker/libnetwork/internal/undo"
	"github.com/docker/libnetwork/kernel/filelock"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/process"
	"github.com/docker/libnetwork/netstate"
)

// local is the backend without a daemon.
type local struct {
	controller libnetwork.NetworkController
	inspector  libnetwork.Inspector
	lock       *filelock.Lock
	// mended says that the controller has just been compared with the machine.
	mended bool
}

// openLocal opens the controller on the records in the data dir, as soon as nobody else has
// it open. The first time after a boot, which has left nothing of what the records say, the
// machine is led to them again.
//
// Without records there is nothing to delete, and nothing is made for that.
func openLocal(ctx context.Context, command string, c *configuration) (backend, error) {
	makes := command == commandAdd
	if _, err := os.Stat(c.dataDir); errors.Is(err, os.ErrNotExist) && !makes {
		if command == commandCheck {
			return nil, errNoAttachment(c)
		}
		if command != commandStatus {
			return nil, nil
		}
		return &local{}, nil
	}
	if err := os.MkdirAll(c.dataDir, 0o700); err != nil {
		return nil, fail(types.ErrIOFailure, "data dir: %s", err)
	}
	deadline := time.Now().Add(c.lockTimeout)
	lock, err := c.lock(ctx)
	if err != nil {
		return nil, err
	}
	b, err := c.openController(ctx, lock, time.Until(deadline))
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return b, nil
}

// lock keeps the processes of one data dir apart. The store has a lock of its own, which is
// tried every 50 ms; this one lets the next in at once.
func (c *configuration) lock(ctx context.Context) (*filelock.Lock, error) {
	ctx, cancel := context.WithTimeout(ctx, c.lockTimeout)
	defer cancel()
	lock, err := filelock.Acquire(ctx, filepath.Join(c.dataDir, "lock"))
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, cnm.Timeout):
		return nil, fail(types.ErrTryAgainLater, "data dir %q: another operation has had its lock for %s; the key \"lockTimeout\" says how long to wait", c.dataDir, c.lockTimeout)
	case errors.Is(err, cnm.Unsupported):
		return nil, fail(types.ErrPluginNotAvailable, "%s", err)
	}
	return nil, fail(types.ErrIOFailure, "%s", err)
}

// openController loads the records. What a boot has wiped out is made again.
func (c *configuration) openController(ctx context.Context, lock *filelock.Lock, left time.Duration) (*local, error) {
	boot, err := process.BootID()
	if err != nil {
		return nil, fail(types.ErrIOFailure, "%s", err)
	}
	controller, err := libnetwork.New(
		config.OptionDataDir(c.dataDir), config.OptionExecRoot(c.execRoot), config.OptionFirewallBackend(c.firewall),
		config.OptionLocalKVProviderConfig(&datastore.StoreConfig{ConnectionTimeout: max(left, time.Second)}),
		config.OptionTransient(), config.OptionAnnounce(c.attachment.announcements(), config.DefaultAnnounceInterval),
	)
	if err != nil {
		return nil, err
	}
	b := &local{controller: controller, inspector: controller.(libnetwork.Inspector), lock: lock}
	marker := filepath.Join(c.execRoot, "boot-"+controller.ID()[:min(12, len(controller.ID()))])
	if program, err := os.Stat("/proc/self/exe"); err == nil {
		// Another version of the plugin may render the same records otherwise.
		boot += fmt.Sprintf(" %d %d", program.Size(), program.ModTime().UnixNano())
	}
	if seen, err := os.ReadFile(marker); err == nil && string(seen) == boot {
		return b, nil
	}
	if !b.mend(ctx, "after a boot") {
		return b, nil // the next call tries again
	}
	if err := atomicfile.Write(marker, []byte(boot), 0o600); err != nil {
		// As if nothing had been mended, which is no reason to refuse a container, or its end.
		slog.Error("remember the boot", "error", err)
	}
	return b, nil
}

// mend leads the machine to what the records say, and reports whether it could for all of it.
// A network that cannot be mended, as its parent is missing, is in the way of its own
// containers only.
func (b *local) mend(ctx context.Context, why string) bool {
	b.mended = true
	err := b.controller.Repair(ctx)
	if err != nil {
		slog.Error("mend the machine "+why, "error", err)
	}
	return err == nil
}

func (b *local) close() error {
	if b.controller == nil {
		return nil
	}
	// The next operation need not wait until the kernel has freed what this one deleted.
	err := errors.Join(b.controller.(libnetwork.Transient).CloseStore(), b.lock.Release())
	b.controller.Stop()
	return err
}

// add makes what there is not yet. If the machine turns out not to be what the records say,
// as when somebody has deleted the bridge, it is mended, and the attachment tried again.
func (b *local) add(ctx context.Context, c *configuration) (*attached, error) {
	made, err := b.tryAdd(ctx, c)
	if err != nil && !b.mended && (errors.Is(err, cnm.NotFound) || errors.Is(err, cnm.Internal)) {
		b.mend(ctx, "as it is not as it was made")
		made, err = b.tryAdd(ctx, c)
	}
	return made, err
}

// tryAdd takes a network back that it has made for an attachment that then fails.
func (b *local) tryAdd(ctx context.Context, c *configuration) (_ *attached, err error) {
	n, fresh, err := b.network(ctx, &c.network)
	if err != nil {
		return nil, err
	}
	var u undo.Stack
	defer u.OnError(ctx, &err)
	if fresh {
		u.Push("delete the network", n.DeleteContext)
	}
	return b.attach(ctx, n, &c.attachment)
}

// attach makes the sandbox, if it is the container's first interface, and the endpoint.
func (b *local) attach(ctx context.Context, n libnetwork.Network, a *attachment) (_ *attached, err error) {
	if err := b.dropStale(ctx, n, a); err != nil {
		return nil, err
	}
	var u undo.Stack
	defer u.OnError(ctx, &err)
	sb := b.sandbox(a.container)
	if sb == nil {
		if sb, err = b.controller.NewSandboxContext(ctx, a.container, libnetwork.OptionNamespace(a.netns), libnetwork.OptionRecordWithJoin()); err != nil {
			return nil, err
		}
		u.Push("delete the sandbox", sb.DeleteContext)
	} else if sb.Key() != a.netns && !sameNamespace(sb.Key(), a.netns) {
		return nil, badEnvironment("CNI_NETNS %q: the container %q is attached with another namespace, %q", a.netns, a.container, sb.Key())
	}
	ep, err := n.CreateEndpointContext(ctx, a.key().endpointName(), a.endpointOptions()...)
	if err != nil {
		return nil, err
	}
	u.Push("delete the endpoint", func(ctx context.Context) error { return ep.DeleteContext(ctx, true) })
	if err := ep.JoinContext(ctx, sb, a.joinOptions(ep)...); err != nil {
		return nil, err
	}
	return b.describe(n.ID(), ep.ID())
}

// dropStale deletes what an ADD that was killed, or a container that ended without a DEL,
// has left in the way. An attachment that lives is an error.
func (b *local) dropStale(ctx context.Context, n libnetwork.Network, a *attachment) error {
	if sb := b.sandbox(a.container); sb != nil {
		alive, err := netns.Same(sb.Key(), b.identity(sb.ID()))
		if err != nil {
			return err
		}
		if !alive {
			if err := sb.DeleteContext(ctx); err != nil {
				return err
			}
		}
	}
	rec := b.endpoint(n.ID(), a.key())
	if rec == nil {
		return nil
	}
	if rec.SandboxID != "" {
		return cnm.E("", cnm.Exists, fmt.Errorf("container %q has its interface %q in network %q already; DEL comes first", a.container, a.ifname, n.Name()))
	}
	ep, err := n.EndpointByID(rec.ID)
	if err != nil {
		return err
	}
	return ep.DeleteContext(ctx, true)
}

func sameNamespace(one, other string) bool {
	first, err := os.Stat(one)
	if err != nil {
		return false
	}
	second, err := os.Stat(other)
	return err == nil && os.SameFile(first, second)
}

// sandbox returns that of a container, or nil.
func (b *local) sandbox(container string) libnetwork.Sandbox {
	var found libnetwork.Sandbox
	b.controller.WalkSandboxes(libnetwork.SandboxContainerWalker(&found, container))
	return found
}

// identity tells the sandbox's namespace from others.
func (b *local) identity(sandboxID string) string {
	for _, rec := range b.inspector.Records().Sandboxes {
		if rec.ID == sandboxID {
			return rec.Identity
		}
	}
	return ""
}

// endpoint returns the record of an attachment, or nil.
func (b *local) endpoint(networkID string, k key) *cnm.Endpoint {
	for _, rec := range b.inspector.Records().Endpoints {
		if rec.NetworkID == networkID && keyOf(rec.Labels) == k {
			return rec
		}
	}
	return nil
}

func keyOf(labels map[string]string) key { return key{labels[labelContainer], labels[labelInterface]} }

// describe returns what an attachment is like.
func (b *local) describe(networkID, endpointID string) (*attached, error) {
	records := b.inspector.Records()
	i := slices.IndexFunc(records.Endpoints, func(rec *cnm.Endpoint) bool { return rec.ID == endpointID })
	j := slices.IndexFunc(records.Networks, func(rec *cnm.Network) bool { return rec.ID == networkID })
	if i < 0 || j < 0 {
		return nil, cnm.E("", cnm.Internal, fmt.Errorf("endpoint %q: has no record", endpointID))
	}
	rec, out := records.Endpoints[i], &attached{}
	if !rec.MAC.IsZero() {
		out.mac = rec.MAC.String()
	}
	for _, prefix := range []netip.Prefix{rec.IPv4, rec.IPv6} {
		if prefix.IsValid() {
			out.addresses = append(out.addresses, prefix)
		}
	}
	for _, gateway := range []netip.Addr{rec.Gateway4, rec.Gateway6} {
		if gateway.IsValid() {
			out.gateways = append(out.gateways, gateway)
		}
	}
	for _, r := range rec.Routes {
		out.routes = append(out.routes, route{r.Destination, r.NextHop})
	}
	for _, part := range slices.Concat(records.Networks[j].Parts, rec.Parts) {
		for _, link := range part.Links {
			if part.Namespace != "" {
				out.mtu = mtuOf(link)
			} else {
				out.hostLinks = append(out.hostLinks, hostLink{link.Name, mtuOf(link)})
			}
		}
	}
	return out, nil
}

// mtuOf returns zero where it is the parent's.
func mtuOf(link netstate.Link) int {
	if link.MTU == 0 && link.Parent == "" && link.Kind != netstate.Existing {
		return netstate.DefaultMTU
	}
	return link.MTU
}
