package nft

import (
	"context"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/nftevents"
)

// Watch calls notify, from one goroutine, after somebody else has changed our table, or
// deleted it. It ends, and done is called, when ctx is done. It must be called on a
// thread in the namespace. If it returns an error, done is not called.
func (f *Filter) Watch(ctx context.Context, notify, done func()) error {
	return nftevents.Watch(ctx, func(m nftevents.Message) bool {
		return m.Sender != f.portID && m.Kind != unix.NFT_MSG_NEWGEN && m.Text(nftevents.AttributeTable) == f.options.Table
	}, notify, done)
}
