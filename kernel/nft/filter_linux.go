package nft

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/netstate"
)

// socketBuffer is what a batch of ten thousand elements needs, in bytes: the kernel takes
// a batch in one datagram only.
const socketBuffer = 16 << 20

// attempts bounds how often a batch is tried again because the table was not what it was
// thought to be, or because the kernel was busy.
const attempts = 4

// Filter is our table. It is safe for concurrent use.
type Filter struct {
	options Options
	conn    *nftables.Conn
	// portID is the socket's address, which notifications bear that it caused.
	portID uint32

	mu sync.Mutex // guards what follows, and is held while a batch is under way
	// present holds the intents that are in the table, with their owners; nil while it
	// is not known.
	present map[entry]bool
	table   *nftables.Table
	sets    map[string]*nftables.Set
}

// entry is an intent with its owner.
type entry struct {
	owner  string
	intent netstate.Intent
}

func (e entry) split() (owner string, intent netstate.Intent) { return e.owner, e.intent }

// comment is what an element says of itself.
func (e entry) comment() string { return e.owner + ": " + e.intent.String() }

// maxComment is the longest comment, in bytes: NFT_USERDATA_MAXLEN, less the head and the
// closing zero of its one field.
const maxComment = 253

// Open opens a socket in the namespace; it changes nothing there. Without nftables in the
// kernel it is Unsupported.
func Open(options Options) (*Filter, error) {
	f := &Filter{options: options, table: &nftables.Table{Name: options.Table, Family: tableFamily}}
	conn, err := nftables.New(nftables.WithNetNSFd(options.Namespace), nftables.AsLasting(), nftables.WithSockOptions(f.prepare))
	if err != nil {
		return nil, errno.Wrap("nftables socket", err)
	}
	f.conn = conn
	f.sets = make(map[string]*nftables.Set)
	for i, shape := range shapes() {
		f.sets[shape.name] = shape.set(f.table, uint32(i+1))
	}
	if _, err := conn.ListTablesOfFamily(tableFamily); err != nil {
		err = cnm.E("open nftables", cnm.Unsupported, fmt.Errorf("this kernel has no nftables of family inet (CONFIG_NF_TABLES_INET, module nf_tables): %w", err))
		return nil, errors.Join(err, conn.CloseLasting())
	}
	return f, nil
}

func (f *Filter) prepare(conn *netlink.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) {
		var address unix.Sockaddr
		if address, err = unix.Getsockname(int(fd)); err == nil {
			f.portID = address.(*unix.SockaddrNetlink).Pid
		}
	})
	return errors.Join(controlErr, err, conn.SetReadBuffer(socketBuffer), conn.SetWriteBuffer(socketBuffer))
}

// Close closes the socket; the table stays.
func (f *Filter) Close() error { return f.conn.CloseLasting() }

// Apply makes all the changes at once, or none: each is the addition or removal of an
// intent. With the first the table is made, and with the last it goes.
func (f *Filter) Apply(ctx context.Context, changes netstate.Changes) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.options.Brief && f.present == nil {
		err := f.attemptUnseen(changes)
		adds := slices.ContainsFunc(changes, func(c netstate.Change) bool { return c.Verb == netstate.Add })
		switch {
		case adds && errors.Is(err, unix.ENOENT):
			// To make a table of these changes alone would leave out everything before.
			return cnm.E("nftables", cnm.NotFound, fmt.Errorf("table %q: is not as it was made; repair it", f.table.Name))
		case err == nil || !mayPass(err):
			return errno.Wrap("nftables", err)
		}
	}
	var err error
	for range attempts {
		if ctx.Err() != nil {
			return cnm.E("nftables", cnm.Timeout, ctx.Err())
		}
		if f.present == nil {
			if err := f.load(); err != nil {
				return err
			}
		}
		if err = f.attempt(changes); err == nil || !mayPass(err) {
			break
		}
		// What the table holds is not what was thought.
		f.present = nil
	}
	return errno.Wrap("nftables", err)
}

// mayPass reports whether a batch may succeed when it is made again, on what is there.
func mayPass(err error) bool {
	for _, number := range []unix.Errno{unix.ENOENT, unix.EEXIST, unix.EBUSY, unix.EINTR, unix.EAGAIN, unix.ENOBUFS} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// attemptUnseen makes the changes without knowing what there is: to read that takes longer
// than everything else, and the more the more there is. The kernel refuses the batch if the
// table is missing, or something that is to go.
func (f *Filter) attemptUnseen(changes netstate.Changes) error {
	var gone, come []entry
	for _, c := range changes {
		e := entry{c.Owner, c.Object.(netstate.Intent)}
		if c.Verb == netstate.Add {
			come = append(come, e)
		} else {
			gone = append(gone, e)
		}
	}
	// The library keeps what was queued when an element is not valid; none goes out.
	if err := errors.Join(f.queue(gone, f.conn.SetDeleteElements, false), f.queue(come, f.conn.SetAddElements, true)); err != nil {
		return errors.Join(err, f.conn.Flush())
	}
	return f.conn.Flush()
}

func (f *Filter) attempt(changes netstate.Changes) error {
	var gone, come []entry
	for _, c := range changes {
		e := entry{c.Owner, c.Object.(netstate.Intent)}
		switch present := f.present[e]; {
		case c.Verb == netstate.Add && !present:
			come = append(come, e)
		case c.Verb == netstate.Remove && present:
			gone = append(gone, e)
		}
	}
	if len(gone)+len(come) == 0 {
		return nil
	}
	if err := f.send(len(f.present)+len(come) == len(gone), gone, come); err != nil {
		return err
	}
	for _, e := range gone {
		delete(f.present, e)
	}
	for _, e := range come {
		f.present[e] = true
	}
	return nil
}

// send makes one batch.
func (f *Filter) send(empty bool, gone, come []entry) error {
	if empty {
		f.conn.DelTable(f.table)
		return f.conn.Flush()
	}
	if len(f.present) == 0 {
		f.makeTable()
	}
	// The library keeps what was queued when an element is not valid; none goes out.
	if err := errors.Join(f.queue(gone, f.conn.SetDeleteElements, false), f.queue(come, f.conn.SetAddElements, true)); err != nil {
		return errors.Join(err, f.conn.Flush())
	}
	return f.conn.Flush()
}

// elementsPerMessage keeps a message within what its 16-bit length can say.
const elementsPerMessage = 128

func (f *Filter) queue(entries []entry, do func(*nftables.Set, []nftables.SetElement) error, commented bool) error {
	var order []string
	bySet := make(map[string][]nftables.SetElement)
	for _, e := range entries {
		rendered, err := elementOf(e.intent)
		if err != nil {
			return err
		}
		comment := ""
		if commented {
			if comment = e.comment(); len(comment) > maxComment {
				return cnm.E("", cnm.Invalid, fmt.Errorf("comment %q: is longer than %d bytes", comment, maxComment))
			}
		}
		if bySet[rendered.set] == nil {
			order = append(order, rendered.set)
		}
		bySet[rendered.set] = append(bySet[rendered.set], rendered.items(comment)...)
	}
	for _, name := range order {
		items := bySet[name]
		for len(items) > 0 {
			n := min(elementsPerMessage, len(items))
			if err := do(f.sets[name], items[:n]); err != nil {
				return err
			}
			items = items[n:]
		}
	}
	return nil
}

// makeTable queues the static part. What there may be of a table of that name goes: it is
// of another layout, or somebody took pieces out of it.
func (f *Filter) makeTable() {
	f.conn.AddTable(f.table)
	f.conn.DelTable(f.table)
	f.conn.AddTable(f.table)
	for _, shape := range shapes() {
		// Only sets with elements can fail here.
		_ = f.conn.AddSet(f.sets[shape.name], nil)
	}
	for _, c := range f.options.chains() {
		made := f.conn.AddChain(&nftables.Chain{
			Name: c.name, Table: f.table, Hooknum: c.hook, Priority: c.priority, Type: c.kind,
		})
		for _, r := range c.rules {
			f.conn.AddRule(&nftables.Rule{
				Table: f.table, Chain: made, Exprs: r.expressions,
				UserData: r.userData(),
			})
		}
	}
	f.conn.AddChain(&nftables.Chain{Name: f.options.layout(), Table: f.table})
}

// Obstacles names the chains of others that drop what is forwarded and that nobody accepts
// there, whatever our table says: a packet lives only if all accept it.
func (f *Filter) Obstacles(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	chains, err := f.conn.ListChains()
	if err != nil {
		return nil, errno.Wrap("nftables: list chains", err)
	}
	families := map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
	}
	var out []string
	for _, c := range chains {
		family, ours := families[c.Table.Family], c.Table.Name == f.table.Name
		forwards := c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward
		if family != "" && !ours && forwards && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			out = append(out, fmt.Sprintf("chain %q of table \"%s %s\"", c.Name, family, c.Table.Name))
		}
	}
	return out, nil
}

// Delete removes the table; none is no error.
func (f *Filter) Delete(context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.present = nil
	f.conn.AddTable(f.table)
	f.conn.DelTable(f.table)
	return errno.Wrap("nftables: delete table", f.conn.Flush())
}
