package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/docker/libnetwork/cnm"
)

// testSum moves amounts between entries, some of which come and go; whoever looks sees
// the same sum.
func testSum(t *testing.T, f Factory) {
	const accounts, amount, workers, rounds = 5, 100, 4, 25
	one := f.Open(t)
	stores := []cnm.Store{one, f.Again(t, one)}
	update(t, one, func(tx cnm.Tx) error { return tx.Put("account/0", []byte(strconv.Itoa(accounts*amount))) })
	sum := func(tx cnm.Tx) (map[string]int, int, error) {
		entries, err := tx.List("account/")
		balances, total := make(map[string]int), 0
		for _, e := range entries {
			balances[e.Key], _ = strconv.Atoi(string(e.Value))
			total += balances[e.Key]
		}
		return balances, total, err
	}
	var moving, looking sync.WaitGroup
	done := make(chan struct{})
	for w := range workers {
		s := stores[w%len(stores)]
		moving.Go(func() {
			for range rounds {
				from, to := fmt.Sprint("account/", rand.IntN(accounts)), fmt.Sprint("account/", rand.IntN(accounts))
				err := s.Update(context.Background(), func(tx cnm.Tx) error {
					balances, total, err := sum(tx)
					if err != nil || from == to {
						return err
					}
					if total != accounts*amount {
						t.Errorf("an update sees the sum %d", total)
					}
					moved := rand.IntN(balances[from] + 1)
					return errors.Join(set(tx, from, balances[from]-moved), set(tx, to, balances[to]+moved))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
		looking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				err := s.View(context.Background(), func(tx cnm.Tx) error {
					_, total, err := sum(tx)
					if err == nil && total != accounts*amount {
						t.Errorf("a view sees the sum %d", total)
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	moving.Wait()
	close(done)
	looking.Wait()
}

// set writes a balance; none is no entry.
func set(tx cnm.Tx, key string, balance int) error {
	if balance == 0 {
		return tx.Delete(key)
	}
	return tx.Put(key, []byte(strconv.Itoa(balance)))
}

// testExclusion lets writers put an entry of their own if there is none of others, which
// only a store that compares lists keeps to one.
func testExclusion(t *testing.T, f Factory) {
	const workers, rounds = 6, 15
	one := f.Open(t)
	stores := []cnm.Store{one, f.Again(t, one)}
	held := errors.New("somebody has it")
	var holders atomic.Int32
	var group sync.WaitGroup
	for w := range workers {
		s := stores[w%len(stores)]
		key := fmt.Sprint("lock/", w)
		group.Go(func() {
			for got := 0; got < rounds; {
				err := s.Update(context.Background(), func(tx cnm.Tx) error {
					entries, err := tx.List("lock/")
					if err == nil && len(entries) > 0 {
						err = held
					}
					return errors.Join(err, tx.Put(key, nil))
				})
				if errors.Is(err, held) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n != 1 {
					t.Errorf("%d writers have it at once", n)
				}
				holders.Add(-1)
				if err := s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Delete(key) }); err != nil {
					t.Error(err)
					return
				}
				got++
			}
		})
	}
	group.Wait()
}
