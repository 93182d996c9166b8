package networkdb

import (
	"slices"
	"sync"
	"testing"

	"github.com/hashicorp/memberlist"
)

// TestKeysAreRemovedBesideReaders reads keys as memberlist does for each packet, while
// others are removed. The race detector is the judge.
func TestKeysAreRemovedBesideReaders(t *testing.T) {
	keyOf := func(fill byte) []byte { return slices.Repeat([]byte{fill}, 16) }
	ring, err := memberlist.NewKeyring(nil, keyOf(0))
	if err != nil {
		t.Fatal(err)
	}
	d := &NetworkDB{ring: ring}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				keys := ring.GetKeys()
				for i := range 50 * len(keys) { // decryption takes its time
					if k := keys[i%len(keys)]; len(k) != 16 {
						t.Errorf("a key has %d bytes", len(k))
						return
					}
				}
			}
		})
	}
	for range 300 {
		for fill := byte(1); fill < 5; fill++ {
			if err := d.SetKey(keyOf(fill)); err != nil {
				t.Fatal(err)
			}
		}
		for _, fill := range []byte{2, 1, 4, 3} {
			if err := d.RemoveKey(keyOf(fill)); err != nil {
				t.Fatal(err)
			}
		}
		if keys := ring.GetKeys(); len(keys) != 1 || keys[0][0] != 0 {
			t.Fatalf("%d keys are left", len(keys))
		}
	}
	close(stop)
	readers.Wait()
}
