package versioned

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// Server is what a store needs of its servers. Errors of kind Unavailable say that
// another try may do, and that what was asked for may have happened.
type Server interface {
	// Head returns the latest head, and its version: another one for each value, 0 if
	// there is none yet.
	Head(ctx context.Context) (version uint64, value []byte, err error)
	// Load returns all entries, not necessarily of one moment.
	Load(ctx context.Context) (map[string][]byte, error)
	// Fetch returns the entries of some keys, as they are or were after the last Head.
	Fetch(ctx context.Context, keys []string) (map[string][]byte, error)
	// Commit replaces the head of the given version, and makes the writes, at once, and
	// returns the new head's version. If the head is of another version, Commit changes
	// nothing and returns remotestore.ErrLost.
	Commit(ctx context.Context, version uint64, head []byte, writes []remotestore.Write) (uint64, error)
	// Wait returns when the head may have a version other than the given one.
	Wait(ctx context.Context, version uint64) error
	Close() error
}

// Store implements cnm.Store and cnm.Watcher. It is safe for concurrent use.
type Store struct {
	name    string
	options remotestore.Options
	server  Server
	gate    remotestore.Gate

	mu     sync.Mutex // guards what follows
	latest *state     // nil before anything was read
}

// New returns a store; its name is for errors.
func New(name string, options remotestore.Options, server Server) *Store {
	return &Store{name: name, options: options, server: server}
}

func (s *Store) cached() *state {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.latest
}

// keep remembers a state. Which of two is later does not matter: what is too old is
// caught up with.
func (s *Store) keep(st *state) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = st
}

func (s *Store) ask(ctx context.Context, request func(context.Context) error) error {
	return s.options.Ask(ctx, s.name, request)
}

// askHead returns the latest head with nothing known of the entries.
func (s *Store) askHead(ctx context.Context) (*state, error) {
	out := &state{}
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		var value []byte
		if out.version, value, err = s.server.Head(ctx); err != nil {
			return err
		}
		out.head, err = parseHead(value)
		return cnm.Wrap(s.name, err)
	})
	return out, err
}

// catchUpLimit bounds how often the entries are read again because they change faster
// than they can be read.
const catchUpLimit = 100

// current returns the latest state.
func (s *Store) current(ctx context.Context) (*state, error) {
	st := s.cached()
	for range catchUpLimit {
		now, err := s.askHead(ctx)
		if err != nil {
			return nil, err
		}
		if st != nil && st.version == now.version && st.head.last() == now.head.last() {
			s.keep(st)
			return st, nil
		}
		// What is read now may be of later than this head, and in part: the next round
		// finds a later head then, and reads what it changed.
		if now.entries, err = s.read(ctx, st, now.head); err != nil {
			return nil, err
		}
		st = now
	}
	return nil, cnm.E(s.name, cnm.Conflict, errors.New("the store changes faster than it can be read; try again"))
}

// read returns the entries for a head, from those of an earlier state if possible.
func (s *Store) read(ctx context.Context, from *state, h head) ([]cnm.KeyValue, error) {
	var keys []string
	known := false
	if from != nil {
		keys, known = h.since(from.head)
	}
	var found map[string][]byte
	err := s.ask(ctx, func(ctx context.Context) (err error) {
		if known {
			found, err = s.server.Fetch(ctx, keys)
		} else {
			found, err = s.server.Load(ctx)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if !known {
		return entriesOf(found), nil
	}
	writes := make([]remotestore.Write, 0, len(keys))
	for _, key := range keys {
		value, ok := found[key]
		writes = append(writes, remotestore.Write{Key: key, Value: value, Delete: !ok})
	}
	return with(from.entries, writes), nil
}

// View implements cnm.Store.
func (s *Store) View(ctx context.Context, fn func(cnm.Tx) error) error {
	ctx, leave, err := s.gate.Enter(ctx, s.name)
	if err != nil {
		return cnm.Wrap("read", err)
	}
	defer leave()
	st, err := s.current(ctx)
	if err != nil {
		return cnm.Wrap("read", err)
	}
	return remotestore.NewTransaction(st, false).Run(fn)
}

// Update implements cnm.Store. It is made again while others commit; how long is for ctx
// to say. An error of kind Unavailable may say that it is not known whether it was
// committed: then the servers went silent for longer than Options.Timeout right after it
// was sent.
func (s *Store) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	ctx, leave, err := s.gate.Enter(ctx, s.name)
	if err != nil {
		return cnm.Wrap("write", err)
	}
	defer leave()
	return s.options.Race(ctx, s.name, func(ctx context.Context) error {
		st, err := s.current(ctx)
		if err != nil {
			return cnm.Wrap("write", err)
		}
		t := remotestore.NewTransaction(st, true)
		if err := t.Run(fn); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return remotestore.Interrupted(ctx, s.name)
		}
		return cnm.Wrap("write", s.commit(ctx, st, t.Writes()))
	})
}

// commit makes the writes if the state is still the latest; otherwise it returns
// remotestore.ErrLost.
func (s *Store) commit(ctx context.Context, st *state, writes []remotestore.Write) error {
	if len(writes) == 0 {
		return nil
	}
	id := newID()
	value, err := st.head.after(id, writes)
	if err != nil {
		return cnm.E(s.name, cnm.Internal, err)
	}
	short, cancel := context.WithTimeout(ctx, s.options.Share())
	version, err := s.server.Commit(short, st.version, value, writes)
	unsure := errors.Is(err, cnm.Unavailable) || err != nil && short.Err() != nil && !errors.Is(err, remotestore.ErrLost)
	cancel()
	if unsure {
		made, err := s.settle(ctx, st, id)
		switch {
		case err != nil:
			return cnm.E(s.name, cnm.KindOf(err), fmt.Errorf("it is not known whether the change was committed: %w", err))
		case made:
			return nil
		case ctx.Err() != nil:
			return remotestore.Interrupted(ctx, s.name)
		}
		return remotestore.ErrLost
	}
	if err != nil {
		return err
	}
	next, err := parseHead(value)
	if err != nil {
		return cnm.Wrap(s.name, err)
	}
	s.keep(&state{version: version, head: next, entries: with(st.entries, writes)})
	return nil
}

// settleGrace is how long an operation whose context is done goes on to find out whether
// it was committed.
const settleGrace = time.Second

// settle finds out what became of a commit whose answer was lost, and sees to it that it
// is never made if it has not been made by now.
func (s *Store) settle(ctx context.Context, st *state, id string) (made bool, err error) {
	// The caller's context may be the reason why the answer was lost. To tell it the
	// truth is worth a moment more.
	settling := context.WithoutCancel(ctx)
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		settling, cancel = context.WithTimeout(settling, min(s.options.Timeout, settleGrace))
		defer cancel()
	}
	fence, err := st.head.after(newID(), nil)
	if err != nil {
		return false, cnm.E(s.name, cnm.Internal, err)
	}
	rest := s.options
	rest.Timeout -= rest.Share() // which the commit has had
	err = rest.Ask(settling, s.name, func(ctx context.Context) error {
		version, value, err := s.server.Head(ctx)
		if err != nil {
			return err
		}
		if version == st.version {
			// It may still be under way: take its place.
			_, err := s.server.Commit(ctx, version, fence, nil)
			if !errors.Is(err, remotestore.ErrLost) {
				return err
			}
			return cnm.E(s.name, cnm.Unavailable, errors.New("another commit came in between")) // look again
		}
		h, err := parseHead(value)
		if err != nil {
			return cnm.Wrap(s.name, err)
		}
		known := false
		if made, known = h.made(id, st.head); !known {
			return cnm.E(s.name, cnm.Internal, errors.New("too many others have followed, or the store was begun anew"))
		}
		return nil
	})
	return made, err
}

// Watch implements cnm.Watcher.
func (s *Store) Watch(ctx context.Context, prefix string) iter.Seq2[[]cnm.Change, error] {
	return func(yield func([]cnm.Change, error) bool) {
		ctx, leave, err := s.gate.Enter(ctx, s.name)
		if err != nil {
			if !errors.Is(err, cnm.Timeout) {
				yield(nil, cnm.Wrap("watch", err))
			}
			return
		}
		defer leave()
		var known []cnm.KeyValue
		for first := true; ; {
			st, err := s.current(ctx)
			switch now := st.below(prefix); {
			case ctx.Err() != nil:
			case err != nil:
				if !yield(nil, cnm.Wrap("watch", err)) {
					return
				}
			default:
				found := changes(known, now)
				if (first || len(found) > 0) && !yield(found, nil) {
					return
				}
				known, first = now, false
				err = s.server.Wait(ctx, st.version)
			}
			if ctx.Err() != nil {
				if errors.Is(context.Cause(ctx), remotestore.ErrClosed) {
					yield(nil, cnm.Wrap("watch", remotestore.Interrupted(ctx, s.name)))
				}
				return
			}
			if err != nil && remotestore.Sleep(ctx, time.Second/10) != nil {
				continue
			}
		}
	}
}

// Close implements cnm.Store. It ends what is under way.
func (s *Store) Close() error {
	if !s.gate.Close() {
		return nil
	}
	return cnm.Wrap("close", s.server.Close())
}
