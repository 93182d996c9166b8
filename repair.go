package libnetwork

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

func (c *controller) Repair(ctx context.Context) error {
	_, err := c.Mend(ctx, MendOptions{})
	return err
}

func (c *controller) Mend(ctx context.Context, options MendOptions) (_ []Difference, err error) {
	defer c.begin("repair")(&err)
	m := &mending{MendOptions: options}
	err = c.repair(ctx, func(*cnm.Sandbox) bool { return true }, m)
	slices.SortStableFunc(m.differences, func(a, b Difference) int { return strings.Compare(a.Subject, b.Subject) })
	return m.differences, operationError("repair", err)
}

// repair leads the kernel from what it holds to what the records say. Sandboxes
// that are dead, or that keep does not want, are deleted first. One trouble does
// not stop the rest: all errors are returned together.
func (c *controller) repair(ctx context.Context, keep func(*cnm.Sandbox) bool, m *mending) error {
	if err := c.running(); err != nil {
		return err
	}
	if m.Sandbox != "" {
		return c.repairSandbox(ctx, m)
	}
	var errs []error
	dead, err := c.deleteDead(ctx, keep, m)
	errs = append(errs, err)

	release, err := c.lockAll(ctx)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	defer release()
	networks, sandboxes := c.allNetworks(), c.allSandboxes()
	observed, err := c.observeAll(ctx, sandboxes)
	if err != nil {
		return errors.Join(append(errs, err)...)
	}
	m.total = len(networks) + len(sandboxes)
	// First what has no record: it may hold a port, or a name, that a record gives another.
	errs = append(errs, c.sweepLinks(ctx, observed, m))
	there := newMender(observed)
	for _, n := range networks {
		errs = append(errs, cnm.Wrap(n.subject(), m.apply(ctx, c, n.subject(), there.changes(n.record.Load().Parts))))
		m.step(n.subject())
	}
	for _, sb := range sandboxes {
		if rec := sb.record.Load(); rec.Ready && !sb.deleted.Load() && !dead[rec.ID] {
			errs = append(errs, cnm.Wrap(sb.subject(), m.apply(ctx, c, sb.subject(), there.changes(c.desired(rec, recordsOf(sb.members()))))))
			if !m.DryRun {
				sb.updateFiles(ctx)
			}
		}
		m.step(sb.subject())
	}
	errs = append(errs, c.sweepNamespaces(ctx, m), c.sweepFiles(m))
	if len(m.differences) > 0 && !m.DryRun {
		c.mended.Add(1)
		c.tell(Event{Type: ControllerEvent, Action: EventRepair, Detail: fmt.Sprintf("%d differences", len(m.differences))})
	}
	return joinKinds(errs)
}

// repairSandbox is repair for one sandbox and the networks that it is in.
func (c *controller) repairSandbox(ctx context.Context, m *mending) error {
	c.mu.RLock()
	sb := c.sandboxes[m.Sandbox]
	c.mu.RUnlock()
	if sb == nil {
		_, err := c.SandboxByID(m.Sandbox)
		return err
	}
	var networks []*network
	for _, ep := range sb.members() {
		if !slices.Contains(networks, ep.n) {
			networks = append(networks, ep.n)
		}
	}
	slices.SortFunc(networks, func(a, b *network) int { return strings.Compare(a.ID(), b.ID()) })
	for _, n := range networks {
		release, err := n.lock.acquire(ctx, n.subject())
		if err != nil {
			return err
		}
		defer release()
	}
	members, release, err := sb.lockWithMembers(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := c.wantOwn(ctx, sb.record.Load()); err != nil {
		return err
	}
	observed, err := c.observeAll(ctx, []*sandbox{sb})
	if err != nil {
		return err
	}
	there := newMender(observed)
	var errs []error
	for _, n := range networks {
		if !n.deleted.Load() {
			errs = append(errs, cnm.Wrap(n.subject(), m.apply(ctx, c, n.subject(), there.changes(n.record.Load().Parts))))
		}
	}
	if rec := sb.record.Load(); rec.Ready {
		errs = append(errs, cnm.Wrap(sb.subject(), m.apply(ctx, c, sb.subject(), there.changes(c.desired(rec, recordsOf(members))))))
	}
	return joinKinds(errs)
}

// mending is one run of repair: how, how far it is, and what it found.
type mending struct {
	MendOptions
	done, total int
	differences []Difference
}

func (m *mending) step(subject string) {
	m.done++
	if m.Progress != nil {
		m.Progress(m.done, m.total, subject)
	}
}

// found notes a difference, and reports whether to do something about it.
func (m *mending) found(subject string, changes ...string) (mend bool) {
	m.differences = append(m.differences, Difference{Subject: subject, Changes: changes})
	return !m.DryRun
}

// apply notes the changes and, unless it is a dry run, has the kernel carry them out.
func (m *mending) apply(ctx context.Context, c *controller, subject string, changes netstate.Changes) error {
	var lines []string
	for _, change := range changes {
		// Settings are not observed: they are written each time, which is no difference.
		if change.Verb != netstate.Write {
			lines = append(lines, change.String())
		}
	}
	if len(lines) > 0 {
		m.found(subject, lines...)
	}
	if len(changes) == 0 || m.DryRun {
		return nil
	}
	return c.host.Apply(ctx, changes)
}

// joinKinds joins what is not nil and keeps the kind of the first.
func joinKinds(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	if len(errs) == 1 {
		return errs[0]
	}
	return joinErrors("", errs)
}

// deleteDead deletes the sandboxes whose namespace is gone, with their endpoints, and
// returns the ids of those that it found.
func (c *controller) deleteDead(ctx context.Context, keep func(*cnm.Sandbox) bool, m *mending) (map[string]bool, error) {
	var errs []error
	dead := make(map[string]bool)
	for _, sb := range c.allSandboxes() {
		rec := sb.record.Load()
		if rec.Host || (rec.Handover || !rec.Ready) && keep(rec) {
			continue
		}
		alive, err := c.alive(ctx, rec)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		if alive && keep(rec) {
			continue
		}
		dead[rec.ID] = true
		if !m.found(sb.subject(), "delete: its namespace is gone, or it is not wanted any more") {
			continue
		}
		c.log.Info("delete sandbox", "container", rec.ContainerID, "namespace alive", alive)
		if err := sb.delete(ctx); err != nil && !errors.Is(err, cnm.NotFound) {
			errs = append(errs, cnm.Wrap("delete "+sb.subject(), err))
		}
	}
	return dead, joinKinds(errs)
}

// lockAll locks all networks and sandboxes there are, so that nothing moves.
func (c *controller) lockAll(ctx context.Context) (release func(), err error) {
	var releases []func()
	release = func() {
		for _, r := range slices.Backward(releases) {
			r()
		}
	}
	lock := func(l opLock, subject string) error {
		r, err := l.acquire(ctx, subject)
		if err == nil {
			releases = append(releases, r)
		}
		return err
	}
	networks := c.allNetworks()
	slices.SortFunc(networks, func(a, b *network) int { return strings.Compare(a.ID(), b.ID()) })
	for _, n := range networks {
		if err := lock(n.lock, n.subject()); err != nil {
			release()
			return nil, err
		}
	}
	sandboxes := c.allSandboxes()
	slices.SortFunc(sandboxes, func(a, b *sandbox) int { return strings.Compare(a.ID(), b.ID()) })
	for _, sb := range sandboxes {
		if err := lock(sb.lock, sb.subject()); err != nil {
			release()
			return nil, err
		}
	}
	return release, nil
}

func (c *controller) observeAll(ctx context.Context, sandboxes []*sandbox) ([]netstate.Part, error) {
	namespaces := []string{""}
	for _, sb := range sandboxes {
		if rec := sb.record.Load(); rec.Ready && rec.Own() {
			namespaces = append(namespaces, rec.Key)
		}
	}
	return c.host.Observe(ctx, namespaces...)
}

// mender finds, among all that was observed, what matters for one object.
type mender struct {
	byOwner     map[string][]netstate.Part
	byNamespace map[string][]netstate.Part // container namespaces, what is nobody's
	hostLinks   map[string]netstate.Link   // the host's links that are nobody's
	host        netstate.Part              // all on the host that is nobody's
}

func newMender(observed []netstate.Part) *mender {
	m := &mender{
		byOwner: make(map[string][]netstate.Part), byNamespace: make(map[string][]netstate.Part),
		hostLinks: make(map[string]netstate.Link),
	}
	for _, p := range observed {
		switch {
		case p.Owner != "":
			m.byOwner[p.Owner] = append(m.byOwner[p.Owner], p)
		case p.Namespace != "":
			m.byNamespace[p.Namespace] = append(m.byNamespace[p.Namespace], p)
		default:
			m.host = p
			for _, l := range p.Links {
				m.hostLinks[l.Name] = l
			}
		}
	}
	return m
}

// observed returns what is there of the wished parts.
func (m *mender) observed(wished []netstate.Part) []netstate.Part {
	var out []netstate.Part
	owners, namespaces := make(map[string]bool), make(map[string]bool)
	foreign := netstate.Part{}
	for _, p := range wished {
		if !owners[p.Owner] {
			owners[p.Owner] = true
			out = append(out, m.byOwner[p.Owner]...)
		}
		if p.Namespace != "" && !namespaces[p.Namespace] {
			namespaces[p.Namespace] = true
			out = append(out, m.byNamespace[p.Namespace]...)
		}
		if p.Namespace == "" {
			m.addForeign(&foreign, p)
		}
	}
	return handOver(append(out, foreign), wished)
}

// addForeign adds what is nobody's on a link that the part names: an adopted bridge
// with its addresses.
func (m *mender) addForeign(foreign *netstate.Part, p netstate.Part) {
	for _, wanted := range p.Links {
		link, ok := m.hostLinks[wanted.Name]
		if !ok {
			continue
		}
		foreign.Links = append(foreign.Links, link)
		for _, a := range m.host.Addrs {
			if a.Link == link.Name {
				foreign.Addrs = append(foreign.Addrs, a)
			}
		}
	}
}

// changes returns what mends one object.
func (m *mender) changes(wished []netstate.Part) netstate.Changes {
	return netstate.Diff(m.observed(wished), wished)
}

// sweepLinks deletes what bears our mark without a record, unless an operation is
// under way for it.
func (c *controller) sweepLinks(ctx context.Context, observed []netstate.Part, m *mending) error {
	var garbage []netstate.Part
	known := c.knownOwners()
	for _, p := range observed {
		if p.Owner != "" && !known[p.Owner] {
			garbage = append(garbage, p)
		}
	}
	changes := netstate.Diff(garbage, nil)
	if len(changes) > 0 && !m.DryRun {
		c.log.Info("delete what has no record", "changes", changes.String())
	}
	return m.apply(ctx, c, "what has no record", changes)
}

// knownOwners returns all owners whose record wants something of the kernel, or that have
// an operation under way.
func (c *controller) knownOwners() map[string]bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	known := make(map[string]bool)
	for owner := range c.busy {
		known[owner] = true
	}
	for _, n := range c.networks {
		rec := n.record.Load()
		known[rec.Owner()] = true
		for _, p := range rec.Parts {
			known[p.Owner] = true
		}
		for _, ep := range n.endpoints {
			// Of one that has left its sandbox there is nothing, but what a process that
			// was killed at it did not come to.
			if rec := ep.record.Load(); rec.SandboxID != "" {
				known[rec.Owner()] = true
			}
		}
	}
	for _, sb := range c.sandboxes {
		known[sb.record.Load().Owner()] = true
	}
	return known
}

// sweepNamespaces unpins namespaces of ours without a record.
func (c *controller) sweepNamespaces(ctx context.Context, m *mending) error {
	pinned, err := c.host.Namespaces().List(ctx, c.paths.namespaces, c.paths.prefix)
	if err != nil {
		return err
	}
	known := make(map[string]bool)
	for owner := range c.knownOwners() {
		if id, ok := strings.CutPrefix(owner, "sandbox/"); ok {
			known[c.paths.namespace(id)] = true
		}
	}
	var errs []error
	for _, path := range pinned {
		if !known[path] && m.found("namespace without a record", "unpin "+path) {
			errs = append(errs, c.host.Namespaces().Delete(ctx, path))
		}
	}
	return joinKinds(errs)
}

// sweepFiles removes the folders of sandboxes without a record.
func (c *controller) sweepFiles(m *mending) error {
	entries, err := os.ReadDir(c.paths.files)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	known := c.knownOwners()
	errs := []error{err}
	for _, entry := range entries {
		folder := filepath.Join(c.paths.files, entry.Name())
		if !known["sandbox/"+entry.Name()] && m.found("files without a record", "remove "+folder) {
			errs = append(errs, os.RemoveAll(folder))
		}
	}
	return joinKinds(errs)
}
