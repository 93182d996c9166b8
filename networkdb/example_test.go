package networkdb_test

import (
	"context"
	"fmt"

	"github.com/docker/libnetwork/networkdb"
)

// Two nodes share a table. Each would be on a host of its own, and need no port.
func Example() {
	start := func(name, address string) *networkdb.NetworkDB {
		db, err := networkdb.New(networkdb.Config{NodeID: name, BindAddr: address, BindPort: 17946})
		if err != nil {
			panic(err)
		}
		return db
	}
	one, other := start("one", "127.77.5.1"), start("other", "127.77.5.2")
	defer one.Close()
	defer other.Close()

	ctx := context.Background()
	if err := other.Join(ctx, []string{"127.77.5.1"}); err != nil {
		panic(err)
	}
	for _, db := range []*networkdb.NetworkDB{one, other} {
		if err := db.JoinNetwork(ctx, "net"); err != nil {
			panic(err)
		}
	}
	events, stop := other.Watch("endpoints", "net", "")
	defer stop()
	if err := one.CreateEntry("endpoints", "net", "web", []byte("172.18.0.2")); err != nil {
		panic(err)
	}
	if e, ok := (<-events).(networkdb.CreateEvent); ok {
		fmt.Printf("%s of %s is %s\n", e.Key, e.Owner, e.Value)
	}
	// Output: web of one is 172.18.0.2
}
