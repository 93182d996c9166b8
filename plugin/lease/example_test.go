package lease_test

import (
	"context"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/plugin/lease"
)

// What was granted stays granted when the book is opened again.
func Example() {
	ctx, store := context.Background(), memory.New()
	book, err := lease.Open(ctx, store, lease.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	pool, err := book.RequestPool(ctx, cnm.PoolRequest{AddressSpace: "LocalDefault", Pool: netip.MustParsePrefix("192.0.2.0/24")})
	if err != nil {
		fmt.Println(err)
		return
	}
	address, err := book.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID})
	fmt.Println(address.Prefix, err)

	book, err = lease.Open(ctx, store, lease.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	address, err = book.RequestAddress(ctx, cnm.AddressRequest{PoolID: pool.ID})
	fmt.Println(address.Prefix, err)
	// Output:
	// 192.0.2.1/24 <nil>
	// 192.0.2.2/24 <nil>
}
