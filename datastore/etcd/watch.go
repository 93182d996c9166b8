package etcd

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// watchPause is how long a watch waits after an error.
const watchPause = 100 * time.Millisecond

// Watch implements cnm.Watcher. The client resumes the watch by itself after a break, at
// the revision after the last one seen; if the servers no longer have that, or have no
// leader, everything is listed again and compared by revisions.
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
		w := &watch{store: s, prefix: s.root() + prefix}
		for first := true; ctx.Err() == nil; {
			changes, err := w.list(ctx)
			if err == nil {
				if (first || len(changes) > 0) && !yield(changes, nil) {
					return
				}
				first = false
				var goOn bool
				if goOn, err = w.follow(ctx, func(changes []cnm.Change) bool { return yield(changes, nil) }); !goOn {
					return
				}
			}
			if ctx.Err() != nil {
				break
			}
			if err != nil && !yield(nil, cnm.Wrap("watch", err)) {
				return
			}
			if err != nil {
				_ = remotestore.Sleep(ctx, watchPause)
			}
		}
		if errors.Is(context.Cause(ctx), remotestore.ErrClosed) {
			yield(nil, cnm.Wrap("watch", remotestore.Interrupted(ctx, s.name)))
		}
	}
}

// watch is one call of Watch.
type watch struct {
	store  *Store
	prefix string // with the root
	// known has the revision of the last change of each key.
	known map[string]int64
	// revision is what known is of.
	revision int64
}

// list reads everything and returns what differs from what is known.
func (w *watch) list(ctx context.Context) ([]cnm.Change, error) {
	var response *clientv3.GetResponse
	err := w.store.ask(ctx, func(ctx context.Context, client *clientv3.Client) (err error) {
		response, err = client.Get(ctx, w.prefix, clientv3.WithPrefix())
		return err
	})
	if err != nil {
		return nil, err
	}
	before := w.known
	w.known, w.revision = make(map[string]int64, len(response.Kvs)), response.Header.Revision
	var out []cnm.Change
	for _, entry := range response.Kvs {
		key := w.key(entry)
		if key == "" {
			continue
		}
		w.known[key] = entry.ModRevision
		if before[key] != entry.ModRevision {
			out = append(out, cnm.Change{Key: key, Value: append([]byte{}, entry.Value...)})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		if _, ok := w.known[key]; !ok {
			out = append(out, cnm.Change{Key: key, Deleted: true})
		}
	}
	return out, nil
}

func (w *watch) key(entry *mvccpb.KeyValue) string {
	return strings.TrimPrefix(string(entry.Key), w.store.root())
}

// follow yields changes until the watch breaks, or until yield returns false: then
// goOn is false. An error says why it broke, unless to list again is all that is needed.
func (w *watch) follow(ctx context.Context, yield func([]cnm.Change) bool) (goOn bool, err error) {
	client, err := w.store.connect(ctx)
	if err != nil {
		return true, err
	}
	// A member without a leader ends the watch, instead of being silent.
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	for response := range client.Watch(ctx, w.prefix, clientv3.WithPrefix(), clientv3.WithRev(w.revision+1)) {
		if response.CompactRevision != 0 {
			return true, nil
		}
		if err := response.Err(); err != nil {
			return true, w.store.wrap(err)
		}
		if changes := w.changes(response.Events); len(changes) > 0 && !yield(changes) {
			return false, nil
		}
	}
	return true, nil
}

func (w *watch) changes(events []*clientv3.Event) []cnm.Change {
	var out []cnm.Change
	for _, event := range events {
		key := w.key(event.Kv)
		switch {
		case key == "":
		case event.Type == clientv3.EventTypeDelete:
			delete(w.known, key)
			out = append(out, cnm.Change{Key: key, Deleted: true})
		default:
			w.known[key] = event.Kv.ModRevision
			out = append(out, cnm.Change{Key: key, Value: append([]byte{}, event.Kv.Value...)})
		}
	}
	return out
}
