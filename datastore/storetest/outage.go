package storetest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// Disturbed has several writers commit to a store while its servers or connections are
// disturbed, which lasts until done is closed. No commit may be lost or made twice, and
// none may fail: disturb must leave the store usable within its time-out.
func Disturbed(t *testing.T, s cnm.Store, rounds int, disturb func(done <-chan struct{})) {
	t.Helper()
	const writers = 4
	done := make(chan struct{})
	var disturbing, writing sync.WaitGroup
	disturbing.Go(func() { disturb(done) })
	var mu sync.Mutex // guards what follows
	var slowest time.Duration
	for w := range writers {
		writing.Go(func() {
			for i := range rounds {
				start := time.Now()
				if err := s.Update(context.Background(), func(tx cnm.Tx) error { return note(tx, w, i) }); err != nil {
					t.Errorf("writer %d, commit %d, after %s: %v", w, i, time.Since(start), err)
					return
				}
				mu.Lock()
				slowest = max(slowest, time.Since(start))
				mu.Unlock()
			}
		})
	}
	writing.Wait()
	close(done)
	disturbing.Wait()
	t.Logf("the slowest commit took %s", slowest.Round(time.Millisecond))
	got := content(t, s)
	var want []string
	for i := range rounds {
		want = append(want, strconv.Itoa(i))
	}
	for w := range writers {
		if log := got[fmt.Sprint("log/", w)]; log != strings.Join(want, " ") {
			t.Errorf("the commits of writer %d are %q, want each of %d once", w, log, rounds)
		}
	}
	if got["count"] != strconv.Itoa(writers*rounds) {
		t.Errorf("%s commits were counted, want %d", got["count"], writers*rounds)
	}
}

// note writes what makes a lost commit and one that was made twice show.
func note(tx cnm.Tx, writer, i int) error {
	key := fmt.Sprint("log/", writer)
	log, err := tx.Get(key)
	if err != nil && !errors.Is(err, cnm.NotFound) {
		return err
	}
	count, err := tx.Get("count")
	if err != nil && !errors.Is(err, cnm.NotFound) {
		return err
	}
	n, _ := strconv.Atoi(string(count)) // 0 at first
	text := strings.TrimSpace(string(log) + " " + strconv.Itoa(i))
	return errors.Join(tx.Put(key, []byte(text)), tx.Put("count", []byte(strconv.Itoa(n+1))))
}

// Outage checks that a store is Unavailable within its time-out once its servers are gone,
// whether they refuse connections or are silent, that it serves again by itself, and that
// a watch then tells what it has missed.
func Outage(t *testing.T, s cnm.Store, timeout time.Duration, gone, back func()) {
	t.Helper()
	put(t, s, "before", "1")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	told := make(chan map[string]string, 1000)
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	if w, ok := s.(cnm.Watcher); ok {
		watching.Go(func() {
			state := make(map[string]string)
			for changes, err := range w.Watch(ctx, "") {
				if err != nil {
					continue // as long as there are no servers
				}
				apply(t, state, changes)
				copied := make(map[string]string)
				for key, value := range state {
					copied[key] = value
				}
				told <- copied
			}
		})
		<-told
	} else {
		t.Error("the store cannot be watched")
	}
	gone()
	// Room for a busy machine.
	limit := timeout + timeout/2 + time.Second
	var calling sync.WaitGroup
	for name, call := range map[string]func() error{
		"view":   func() error { return s.View(context.Background(), func(cnm.Tx) error { return nil }) },
		"update": func() error { return s.Update(context.Background(), func(tx cnm.Tx) error { return note(tx, 0, 0) }) },
		"blind update": func() error {
			return s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Put("lost", nil) })
		},
		"another update": func() error {
			return s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Delete("before") })
		},
	} {
		calling.Go(func() {
			start := time.Now()
			err := call()
			if took := time.Since(start); !errors.Is(err, cnm.Unavailable) || took > limit {
				t.Errorf("%s without servers: error %v after %s, want %q within %s", name, err, took, cnm.Unavailable, timeout)
			}
		})
	}
	calling.Wait()
	short, cancelShort := context.WithTimeout(context.Background(), timeout/10)
	defer cancelShort()
	wantKind(t, s.View(short, func(cnm.Tx) error { return nil }), cnm.Timeout)
	back()
	start := time.Now()
	for {
		err := s.Update(context.Background(), func(tx cnm.Tx) error { return tx.Put("after", []byte("2")) })
		if err == nil {
			break
		}
		if !errors.Is(err, cnm.Unavailable) || time.Since(start) > watchLimit {
			t.Fatalf("after %s with servers: %v", time.Since(start), err)
		}
	}
	t.Logf("served %s after the servers were back", time.Since(start).Round(time.Millisecond))
	for deadline := time.After(watchLimit); ; {
		select {
		case state := <-told:
			if state["after"] == "2" {
				return
			}
		case <-deadline:
			t.Fatal("the watch does not tell what was written after the outage")
		}
	}
}
