package etcd

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// Limits of a transaction. The servers take 128 comparisons and 128 operations unless
// they were told otherwise (etcd's --max-txn-ops), and what is nested counts on top of
// what is above it.
const (
	mostComparisons = 100
	mostOperations  = 60
	// mostWrites can be nested two deep.
	mostWrites = mostOperations * mostOperations
)

// slot is the key that the commits of one operation at a time write, besides what they
// are for. Commits of one process that run at once have a slot each.
//
// The key holds the id of its last commit. A commit also compares the key's revision.
// So after a lost answer the key either holds the commit's id: it was made; or it can be
// written over: it will never be made.
type slot struct {
	key      string
	revision int64 // of the last change; 0 if the key is missing
}

// slotAge is when the keys of a process that did not delete them are deleted.
const slotAge = 30 * 24 * time.Hour

// mostCommits is how many commits of a process may be under way; each needs a slot, and
// slots stay until the store is closed.
const mostCommits = 64

// enter waits until another commit may begin.
func (s *Store) enter(ctx context.Context) error {
	patience := time.NewTimer(s.options.Timeout)
	defer patience.Stop()
	select {
	case s.committing <- struct{}{}:
		return nil
	case <-ctx.Done():
		return remotestore.Interrupted(ctx, s.name)
	case <-patience.C:
		return cnm.E(s.name, cnm.Unavailable, fmt.Errorf("%d commits before this one wait for an answer; check that its servers run and can be reached", mostCommits))
	}
}

func (s *Store) slotRoot() string { return s.address.Prefix + ".commits/" }

func (s *Store) takeSlot() *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.free); n > 0 {
		out := s.free[n-1]
		s.free = s.free[:n-1]
		return out
	}
	s.slots++
	return &slot{key: s.slotRoot() + s.process + "/" + strconv.Itoa(s.slots)}
}

func (s *Store) giveSlot(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free = append(s.free, sl)
}

// newCommitID returns the value of a slot: an id, and the time, by which it is known to
// be of a process that ended.
func newCommitID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // does not fail: see its documentation
	return hex.EncodeToString(id) + " " + strconv.FormatInt(time.Now().Unix(), 10)
}

// commit makes the writes if nothing that was read has changed; otherwise it returns
// remotestore.ErrLost.
func (s *Store) commit(ctx context.Context, r *reader, writes []remotestore.Write) error {
	if len(writes) == 0 {
		return nil // all was read at one revision, which is as good as a commit at it
	}
	if len(writes) > mostWrites {
		return cnm.E(s.name, cnm.Exhausted, fmt.Errorf("one transaction cannot write %d keys, but %d", len(writes), mostWrites))
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer func() { <-s.committing }()
	sl := s.takeSlot()
	id := newCommitID()
	comparisons := append(s.comparisons(r), clientv3.Compare(clientv3.ModRevision(sl.key), "=", sl.revision))
	operations := append(s.operations(writes), clientv3.OpPut(sl.key, id))
	lost, err := s.send(ctx, sl, comparisons, operations)
	if errors.Is(err, errUnsure) {
		made, settleErr := s.settle(ctx, sl, id)
		if settleErr != nil { // the slot is in doubt, and not used again
			return cnm.E(s.name, cnm.KindOf(settleErr), fmt.Errorf("it is not known whether the change was committed: %w", settleErr))
		}
		// If it was not, what was read may have changed meanwhile.
		lost, err = !made, nil
	}
	s.giveSlot(sl)
	switch {
	case err != nil:
		return err
	case lost && ctx.Err() != nil:
		return remotestore.Interrupted(ctx, s.name)
	case lost:
		return remotestore.ErrLost
	}
	return nil
}

// errUnsure says that a commit may have been made or not.
// It is not to be changed.
var errUnsure = errors.New("the answer was lost")

// send sends a commit once.
func (s *Store) send(ctx context.Context, sl *slot, comparisons []clientv3.Cmp, operations []clientv3.Op) (lost bool, err error) {
	short, cancel := context.WithTimeout(ctx, s.options.Share())
	defer cancel()
	client, err := s.connect(short)
	if err != nil {
		if ctx.Err() != nil {
			return false, remotestore.Interrupted(ctx, s.name)
		}
		return false, s.wrap(err)
	}
	response, err := client.Txn(short).If(comparisons...).Then(operations...).Else(clientv3.OpGet(sl.key)).Commit()
	if err != nil {
		wrapped := s.wrap(err)
		s.loginAgain(client, wrapped)
		if short.Err() != nil || errors.Is(wrapped, cnm.Unavailable) {
			return false, fmt.Errorf("%w: %w", errUnsure, wrapped)
		}
		return false, wrapped
	}
	if response.Succeeded {
		sl.revision = response.Header.Revision
		return false, nil
	}
	sl.revision = revisionOf(response.Responses[0].GetResponseRange())
	return true, nil
}

// settle finds out what became of a commit whose answer was lost, and sees to it that it
// is never made if it has not been made by now.
func (s *Store) settle(ctx context.Context, sl *slot, id string) (made bool, err error) {
	// The caller's context may be the reason why the answer was lost. To tell it the
	// truth is worth a moment more.
	settling := context.WithoutCancel(ctx)
	if ctx.Err() != nil {
		var cancel context.CancelFunc
		settling, cancel = context.WithTimeout(settling, min(s.options.Timeout, settleGrace))
		defer cancel()
	}
	fence := "fence " + newCommitID()
	rest := s.options
	rest.Timeout -= rest.Share() // which the commit has had
	err = rest.Ask(settling, s.name, func(ctx context.Context) error {
		client, err := s.connect(ctx)
		if err != nil {
			return err
		}
		response, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.Value(sl.key), "=", id)).
			Then(clientv3.OpGet(sl.key)).
			Else(clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.ModRevision(sl.key), "=", sl.revision)},
				[]clientv3.Op{clientv3.OpPut(sl.key, fence)},
				[]clientv3.Op{clientv3.OpGet(sl.key)},
			)).Commit()
		if err != nil {
			err = s.wrap(err)
			s.loginAgain(client, err)
			return err
		}
		if response.Succeeded {
			made = true
			sl.revision = revisionOf(response.Responses[0].GetResponseRange())
			return nil
		}
		inner := response.Responses[0].GetResponseTxn()
		if inner.Succeeded {
			sl.revision = response.Header.Revision
			return nil
		}
		found := inner.Responses[0].GetResponseRange()
		if len(found.Kvs) == 1 && string(found.Kvs[0].Value) == fence { // of a try whose answer was lost
			sl.revision = found.Kvs[0].ModRevision
			return nil
		}
		return cnm.E(s.name, cnm.Internal, fmt.Errorf("key %q: was changed by another program", sl.key))
	})
	return made, err
}

// settleGrace is how long an operation whose context is done goes on to find out whether
// it was committed.
const settleGrace = time.Second

// comparisons are what must hold for the reader to have read the latest state.
func (s *Store) comparisons(r *reader) []clientv3.Cmp {
	notSince := func(key string) clientv3.Cmp {
		return clientv3.Compare(clientv3.ModRevision(key), "<", r.revision+1)
	}
	if len(r.keys)+len(r.prefixes) > mostComparisons {
		// Too much was read to say what: nothing at all may have changed.
		return []clientv3.Cmp{notSince(s.root()).WithPrefix()}
	}
	var out []clientv3.Cmp
	for key, revision := range r.keys {
		out = append(out, clientv3.Compare(clientv3.ModRevision(s.root()+key), "=", revision))
	}
	slices.Sort(r.prefixes)
	for _, prefix := range slices.Compact(r.prefixes) {
		out = append(out, notSince(s.root()+prefix).WithPrefix())
	}
	if len(r.prefixes) > 0 {
		out = append(out, notSince(s.root()))
	}
	return out
}

// operations are the writes, nested if they are many.
func (s *Store) operations(writes []remotestore.Write) []clientv3.Op {
	var out []clientv3.Op
	deletes := false
	for _, w := range writes {
		if w.Delete {
			deletes = true
			out = append(out, clientv3.OpDelete(s.root()+w.Key))
		} else {
			out = append(out, clientv3.OpPut(s.root()+w.Key, string(w.Value)))
		}
	}
	if len(out) > mostOperations {
		var nested []clientv3.Op
		for part := range slices.Chunk(out, mostOperations) {
			nested = append(nested, clientv3.OpTxn(nil, part, nil))
		}
		out = nested
	}
	if deletes {
		out = append(out, clientv3.OpPut(s.root(), ""))
	}
	return out
}

func revisionOf(response interface{ GetKvs() []*mvccpb.KeyValue }) int64 {
	if kvs := response.GetKvs(); len(kvs) > 0 {
		return kvs[0].ModRevision
	}
	return 0
}

// sweepLimit bounds how many keys of ended processes are looked at.
const sweepLimit = 1000

// sweep deletes the slots of processes that ended long ago without closing their store.
// If the clock is wrong, commits under way in other processes may become unsure, but not
// wrong: they know the revision that their slot had.
func (s *Store) sweep(ctx context.Context, client *clientv3.Client) {
	response, err := client.Get(ctx, s.slotRoot(), clientv3.WithPrefix(), clientv3.WithLimit(sweepLimit),
		clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortAscend))
	if err != nil {
		return // the request that this connection is for will tell
	}
	for _, entry := range response.Kvs {
		fields := strings.Fields(string(entry.Value))
		if len(fields) == 0 {
			continue
		}
		seconds, err := strconv.ParseInt(fields[len(fields)-1], 10, 64)
		if err != nil || time.Since(time.Unix(seconds, 0)) < slotAge {
			continue
		}
		key := string(entry.Key)
		_, err = client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", entry.ModRevision)).
			Then(clientv3.OpDelete(key)).Commit()
		if err != nil {
			return
		}
	}
}

// forgetSlots deletes the slots of this store. What is in doubt stays.
func (s *Store) forgetSlots(client *clientv3.Client) {
	s.mu.Lock()
	free := s.free
	s.free = nil
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), min(s.options.Timeout, settleGrace))
	defer cancel()
	for part := range slices.Chunk(free, mostOperations) {
		var deletions []clientv3.Op
		for _, sl := range part {
			if sl.revision != 0 {
				deletions = append(deletions, clientv3.OpDelete(sl.key))
			}
		}
		if len(deletions) == 0 {
			continue
		}
		if _, err := client.Txn(ctx).Then(deletions...).Commit(); err != nil {
			s.options.Log.Info("store: keys of this process stay behind", "store", s.name, "error", err)
			return
		}
	}
}
