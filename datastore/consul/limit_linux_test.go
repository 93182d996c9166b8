package consul_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/consul"
	"github.com/docker/libnetwork/test/storeserver"
)

func TestLimits(t *testing.T) {
	t.Parallel()
	s := open(t, storeserver.Consul(t).Address, consul.Options{})
	write := func(count, size int) error {
		return s.Update(context.Background(), func(tx cnm.Tx) error {
			for i := range count {
				if err := tx.Put(fmt.Sprint("k", i), []byte(strings.Repeat("v", size))); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for name, err := range map[string]error{"keys": write(63, 1), "bytes": write(1, 600<<10)} {
		if !errors.Is(err, cnm.Exhausted) {
			t.Errorf("too many %s: error %v, want %q", name, err, cnm.Exhausted)
		}
	}
	if err := write(62, 100); err != nil {
		t.Errorf("as many keys as are said to do: %v", err)
	}
	if err := write(1, 300<<10); err != nil {
		t.Errorf("a large value: %v", err)
	}
}
