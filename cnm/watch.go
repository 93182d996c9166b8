package cnm

import (
	"context"
	"iter"
)

// Watcher is a Store that tells of changes. It is optional: a store of one process has
// no need of it.
type Watcher interface {
	// Watch yields what is below prefix, each entry as a change, then the changes as they
	// are committed; what one Update did is never split between two yields. The first
	// yield always comes, even if there is nothing.
	//
	// No change is lost, whatever happens to the connection: after a break the state is
	// read again and what differs is yielded. Of several changes of a key only the last
	// may be told. An error is yielded when the store does not answer; the watch goes on
	// trying, as long as the loop does. It ends with ctx, and when the store is
	// closed; Close waits until the body of the loop is left.
	Watch(ctx context.Context, prefix string) iter.Seq2[[]Change, error]
}

// Change is an entry that was written or deleted.
type Change struct {
	Key string
	// Value is nil if the entry was deleted.
	Value   []byte
	Deleted bool
}
