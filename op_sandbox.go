package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/setkey"
	"github.com/docker/libnetwork/internal/undo"
)

func (c *controller) NewSandbox(containerID string, options ...SandboxOption) (Sandbox, error) {
	return c.NewSandboxContext(context.Background(), containerID, options...)
}

func (c *controller) NewSandboxContext(ctx context.Context, containerID string, options ...SandboxOption) (_ Sandbox, err error) {
	defer c.begin("create sandbox")(&err)
	sb, err := c.createSandbox(ctx, containerID, options)
	if err != nil {
		return nil, operationError("create "+quote("sandbox of container", containerID), err)
	}
	return sb, nil
}

// sandboxSpec checks the request and returns what is to be.
func (c *controller) sandboxSpec(id, containerID string, options []SandboxOption) (*sandboxSpec, error) {
	spec := &sandboxSpec{record: cnm.Sandbox{
		Schema: cnm.SchemaVersion, ID: id, ContainerID: containerID,
		Created: time.Now().UTC().Truncate(time.Millisecond),
	}}
	for _, option := range options {
		if option != nil {
			option(spec)
		}
	}
	if err := joinErrors("", spec.errs); err != nil {
		return nil, err
	}
	rec := &spec.record
	if rec.Host && rec.External {
		return nil, invalid("a sandbox cannot be the host's own namespace and an external one")
	}
	if rec.Handover && (rec.Host || rec.External) {
		return nil, invalid("a sandbox whose interfaces are handed over has no namespace; leave away what says which")
	}
	if rec.Foreign && (rec.Host || rec.External || rec.Handover) {
		return nil, invalid("a sandbox of a given namespace is neither the host's own, nor waits for one, nor hands its interfaces over")
	}
	rec.Ready = !rec.External
	if !rec.Host && !rec.Foreign {
		rec.Key = c.paths.namespace(rec.ID)
	}
	c.paths.fillFiles(rec)
	return spec, nil
}

// createSandbox reserves, records and realises a sandbox.
func (c *controller) createSandbox(ctx context.Context, containerID string, options []SandboxOption) (_ *sandbox, err error) {
	if err := c.running(); err != nil {
		return nil, err
	}
	if strings.TrimSpace(containerID) == "" {
		return nil, InvalidContainerIDError(containerID)
	}
	spec, err := c.sandboxSpec(newID(), containerID, options)
	if err != nil {
		return nil, err
	}
	rec := &spec.record
	if err := c.identify(ctx, rec); err != nil {
		return nil, err
	}
	defer c.track(rec.Owner())()
	var u undo.Stack
	defer u.OnError(ctx, &err)

	if !c.reserve(c.containers, containerID) {
		return nil, cnm.E("", cnm.Exists, errors.New("the container has a sandbox already; delete that first"))
	}
	u.Push("release the container's id", func(context.Context) error { c.release(c.containers, containerID); return nil })
	unrecorded := spec.recordWithJoin && rec.Foreign
	if !unrecorded {
		if err := c.record(ctx, &u, func(b *batch) { b.putSandbox(rec) }, func(b *batch) { b.delete(keySandbox + rec.ID) }); err != nil {
			return nil, err
		}
	}
	if rec.Ready && rec.Own() {
		if err := c.takeNamespace(ctx, &u, rec); err != nil {
			return nil, err
		}
		if err := c.realise(ctx, &u, nil, c.desired(rec, nil)); err != nil {
			return nil, err
		}
	}
	sb := c.newSandbox(rec)
	sb.unrecorded.Store(unrecorded)
	u.Push("remove the files", func(context.Context) error { sb.removeFiles(); return nil })
	if err := sb.writeFiles(ctx); err != nil {
		return nil, err
	}

	c.mu.Lock()
	c.sandboxes[rec.ID] = sb
	c.mu.Unlock()
	sb.tell(EventCreate)
	return sb, nil
}

// identify looks whether a given namespace is there, and is not the host's: the links of a
// container would be among the host's, and its default route too.
func (c *controller) identify(ctx context.Context, rec *cnm.Sandbox) (err error) {
	if !rec.Foreign {
		return nil
	}
	namespaces := c.host.Namespaces()
	if rec.Identity, err = namespaces.Identity(ctx, rec.Key); isNoNamespace(err) {
		return invalid("namespace %q: is not there, or no network namespace", rec.Key)
	} else if err != nil {
		return err
	}
	own, err := namespaces.Identity(ctx, namespaces.HostPath())
	if err == nil && rec.Identity == own {
		err = invalid("namespace %q: is the host's own; the container needs one of its own", rec.Key)
	}
	return err
}

func isNoNamespace(err error) bool {
	return errors.Is(err, cnm.NotFound) || errors.Is(err, cnm.Invalid)
}

// alive reports whether the sandbox's namespace is there, and not another's at its path.
func (c *controller) alive(ctx context.Context, rec *cnm.Sandbox) (bool, error) {
	if rec.Identity == "" {
		return c.host.Namespaces().Alive(ctx, rec.Key)
	}
	is, err := c.host.Namespaces().Identity(ctx, rec.Key)
	if isNoNamespace(err) {
		return false, nil
	}
	return is == rec.Identity, err
}

// wantOwn refuses to work in a given namespace that has gone, or become another's.
func (c *controller) wantOwn(ctx context.Context, rec *cnm.Sandbox) error {
	if !rec.Foreign {
		return nil
	}
	alive, err := c.alive(ctx, rec)
	if err == nil && !alive {
		err = cnm.E("", cnm.NotFound, fmt.Errorf("namespace %q: has gone, or is another container's by now; delete the sandbox", rec.Key))
	}
	return err
}

// takeNamespace makes the sandbox's namespace, unless it is a given one.
func (c *controller) takeNamespace(ctx context.Context, u *undo.Stack, rec *cnm.Sandbox) error {
	namespaces := c.host.Namespaces()
	if rec.Foreign {
		return nil
	}
	if err := namespaces.Create(ctx, rec.Key); err != nil {
		return err
	}
	u.Push("delete the namespace", func(ctx context.Context) error { return namespaces.Delete(ctx, rec.Key) })
	return nil
}

// forgetter is what a host may have besides kernel.Namespaces: it lets go of what it keeps
// open in a namespace that stays.
type forgetter interface{ Forget(path string) }

// leaveNamespace removes the sandbox's namespace, unless it is somebody else's.
func (c *controller) leaveNamespace(ctx context.Context, rec *cnm.Sandbox) error {
	namespaces := c.host.Namespaces()
	if !rec.Foreign {
		return namespaces.Delete(ctx, rec.Key)
	}
	if f, ok := namespaces.(forgetter); ok {
		f.Forget(rec.Key)
	}
	return nil
}

func (sb *sandbox) DeleteContext(ctx context.Context) (err error) {
	defer sb.c.begin("delete sandbox")(&err)
	return operationError("delete "+sb.subject(), sb.delete(ctx))
}

// delete takes the endpoints, the namespace and the sandbox away in one commit.
func (sb *sandbox) delete(ctx context.Context) error {
	members, release, err := sb.lockWithMembers(ctx)
	if err != nil {
		return err
	}
	defer release()
	defer sb.c.track(sb.record.Load().Owner())()
	return sb.c.detach(ctx, detachment{sandbox: sb, endpoints: members, deleteEndpoints: true, deleteSandbox: true})
}

// lockWithMembers locks the sandbox and then its endpoints, which cannot change
// meanwhile.
func (sb *sandbox) lockWithMembers(ctx context.Context) (members []*endpoint, release func(), err error) {
	if err := sb.c.running(); err != nil {
		return nil, nil, err
	}
	first, err := sb.lock.acquire(ctx, sb.subject())
	if err != nil {
		return nil, nil, err
	}
	releases := []func(){first}
	release = func() {
		for i := len(releases) - 1; i >= 0; i-- {
			releases[i]()
		}
	}
	if sb.deleted.Load() {
		release()
		return nil, nil, errSandboxGone()
	}
	members = sb.members()
	for _, ep := range members {
		next, err := ep.lock.acquire(ctx, ep.subject())
		if err != nil {
			release()
			return nil, nil, err
		}
		releases = append(releases, next)
	}
	return members, release, nil
}

func (sb *sandbox) SetKeyContext(ctx context.Context, key string) (err error) {
	defer sb.c.begin("set key of sandbox")(&err)
	return operationError(fmt.Sprintf("set key %q of %s", key, sb.subject()), sb.setKey(ctx, key))
}

// setKey pins the namespace at the sandbox's own path and does what joins before
// left undone.
func (sb *sandbox) setKey(ctx context.Context, key string) (err error) {
	if key == "" {
		return invalid("the key is empty: want the path of a network namespace, as /proc/PID/ns/net")
	}
	c := sb.c
	members, release, err := sb.lockWithMembers(ctx)
	if err != nil {
		return err
	}
	defer release()
	old := sb.record.Load()
	if !old.External {
		return cnm.E("", cnm.Forbidden, errors.New("the sandbox has a namespace of its own; make it with OptionUseExternalKey"))
	}
	if old.Ready {
		return cnm.E("", cnm.Forbidden, errors.New("the sandbox has its namespace already"))
	}
	rec := *old
	rec.Ready = true
	defer c.track(rec.Owner())()
	var u undo.Stack
	defer u.OnError(ctx, &err)
	if err := c.record(ctx, &u, func(b *batch) { b.putSandbox(&rec) }, func(b *batch) { b.putSandbox(old) }); err != nil {
		return err
	}
	if err := c.host.Namespaces().Bind(ctx, rec.Key, key); err != nil {
		return err
	}
	u.Push("unpin the namespace", func(ctx context.Context) error { return c.host.Namespaces().Delete(ctx, rec.Key) })
	if err := sb.checkShared(rec.Key); err != nil {
		return err
	}
	// The loopback first: a socket of UDP that was bound while it was down would answer from
	// another address than the one that was asked.
	bare := c.desired(&rec, nil)
	if err := c.realise(ctx, &u, nil, bare); err != nil {
		return err
	}
	listening := sb.startResolver(ctx, &rec, recordsOf(members))
	defer listening()
	// Otherwise it would hold this namespace, and the next one would have none.
	u.Push("stop the DNS server", func(context.Context) error { listening(); sb.stopResolver(); return nil })
	if err := c.realise(ctx, &u, bare, c.desired(&rec, recordsOf(members))); err != nil {
		return err
	}
	if err := sb.servePorts(members); err != nil {
		return err
	}
	sb.record.Store(&rec)
	listening()
	sb.see(members...)
	sb.updateFiles(ctx)
	for _, ep := range members {
		ep.announce()
	}
	sb.tell(EventReady)
	return nil
}

// checkShared refuses the namespace of another sandbox: there is one embedded DNS server in
// each, and the second would take the first one's questions, and then leave none.
func (sb *sandbox) checkShared(key string) error {
	own, err := os.Stat(key)
	if err != nil {
		return nil //nolint:nilerr // what could not be read cannot be used either, and that says so
	}
	for _, other := range sb.c.allSandboxes() {
		rec := other.record.Load()
		if other == sb || rec.Foreign || !rec.Own() {
			continue
		}
		if info, err := os.Stat(rec.Key); err == nil && os.SameFile(info, own) {
			return cnm.E("", cnm.Exists, fmt.Errorf("it is the namespace of %s already; give each container one of its own", other.subject()))
		}
	}
	return nil
}

// Refresh replaces the options. What makes the sandbox what it is stays: its
// namespace, and the paths of its files unless new ones are given.
func (sb *sandbox) Refresh(options ...SandboxOption) (err error) {
	defer sb.c.begin("refresh sandbox")(&err)
	return operationError("refresh "+sb.subject(), sb.refresh(context.Background(), options))
}

func (sb *sandbox) refresh(ctx context.Context, options []SandboxOption) (err error) {
	members, release, err := sb.lockWithMembers(ctx)
	if err != nil {
		return err
	}
	defer release()
	old := sb.record.Load()
	spec, err := sb.c.sandboxSpec(old.ID, old.ContainerID, options)
	if err != nil {
		return err
	}
	rec := &spec.record
	rec.Host, rec.External, rec.Handover, rec.Foreign = old.Host, old.External, old.Handover, old.Foreign
	rec.Ready, rec.Key, rec.Identity, rec.Created = old.Ready, old.Key, old.Identity, old.Created
	defer sb.c.track(rec.Owner())()
	var u undo.Stack
	defer u.OnError(ctx, &err)
	err = sb.c.record(ctx, &u, func(b *batch) { b.putSandbox(rec) }, func(b *batch) { b.putSandbox(old) })
	if err != nil {
		return err
	}
	before := recordsOf(members)
	renew := !slices.Equal(old.PortBindings, rec.PortBindings)
	ports, err := sb.c.publish(ctx, &u, rec, before, before, renew)
	if err != nil {
		return err
	}
	if err := sb.c.change(ctx, &u, sb, rec, before, ports); err != nil {
		return err
	}
	ports.settle(sb, members)
	storeRecords(members, ports.records)
	sb.record.Store(rec)
	if err := sb.writeFiles(ctx); err != nil {
		return err
	}
	sb.tell(EventRefresh)
	return nil
}

// Rename gives the sandbox's endpoints another name.
func (sb *sandbox) Rename(name string) (err error) {
	defer sb.c.begin("rename endpoints")(&err)
	return operationError(fmt.Sprintf("rename endpoints of %s to %q", sb.subject(), name), sb.rename(context.Background(), name))
}

func (sb *sandbox) rename(ctx context.Context, name string) (err error) {
	if err := checkName(name); err != nil {
		return err
	}
	members, release, err := sb.lockWithMembers(ctx)
	if err != nil {
		return err
	}
	defer release()
	var u undo.Stack
	defer u.OnError(ctx, &err)
	var b batch
	var renamed []*endpoint
	var records []*cnm.Endpoint
	for _, ep := range members {
		rec := *ep.record.Load()
		if rec.Anonymous || rec.Name == name {
			continue
		}
		if err := ep.n.takeEndpointName(name); err != nil {
			return err
		}
		u.Push("release the name", func(context.Context) error { ep.n.releaseEndpointName(name); return nil })
		if err := sb.c.renameShared(ctx, &u, ep.n, rec.ID, rec.Name, name); err != nil {
			return err
		}
		rec.Name = name
		b.putEndpoint(&rec)
		renamed, records = append(renamed, ep), append(records, &rec)
	}
	if len(renamed) == 0 {
		return nil
	}
	if err := sb.c.commit(ctx, &b); err != nil {
		return err
	}
	for i, ep := range renamed {
		ep.n.releaseEndpointName(ep.Name())
		ep.record.Store(records[i])
		ep.n.changed()
		ep.tell(EventRename, sb)
	}
	return nil
}

// paths are where a controller keeps what is not a record. All of it is worthless
// after a reboot, and in places of this controller's own, so that what has no record
// can be told to be garbage.
type paths struct {
	// namespaces is the folder of namespaces; prefix starts the names of ours.
	namespaces, prefix string
	// files is the folder with one folder for each sandbox's files.
	files string
	// keys is the socket by which hooks set the keys of external sandboxes.
	keys string
}

func newPaths(execRoot, controllerID string) paths {
	return paths{
		namespaces: filepath.Join(execRoot, "netns"), prefix: shortID(controllerID)[:6] + "-",
		files: filepath.Join(execRoot, "sandboxes", shortID(controllerID)), keys: setkey.Socket(execRoot, controllerID),
	}
}

func (p paths) namespace(sandboxID string) string {
	return filepath.Join(p.namespaces, p.prefix+shortID(sandboxID))
}

// fillFiles chooses the paths that the caller left open. The host's own namespace
// has the host's files; where interfaces are handed over, or the namespace is somebody
// else's, that one has.
func (p paths) fillFiles(rec *cnm.Sandbox) {
	folder := filepath.Join(p.files, rec.ID)
	if !rec.Own() || rec.Foreign {
		return
	}
	if rec.HostsPath == "" {
		rec.HostsPath = filepath.Join(folder, "hosts")
	}
	if rec.ResolvConfPath == "" {
		rec.ResolvConfPath = filepath.Join(folder, "resolv.conf")
	}
}
