package journal_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/docker/libnetwork/internal/journal"
)

func entry(number uint64) string { return fmt.Sprint(number) }

func missed(last uint64) string { return fmt.Sprintf("missed to %d", last) }

// filled returns a closed log of three places, numbered from 101, with count entries.
func filled(count int) *journal.Log[string] {
	l := journal.New[string](3, 101)
	for range count {
		l.Add(entry)
	}
	l.Close()
	l.Add(entry) // is too late
	return l
}

func TestRead(t *testing.T) {
	for _, test := range []struct {
		count int
		after uint64
		want  []string
	}{
		{0, 0, nil},
		{0, 7, []string{"missed to 100"}},
		{2, 0, []string{"101", "102"}},
		{2, 101, []string{"102"}},
		{2, 102, nil},
		{2, 900, nil},
		{2, 100, []string{"101", "102"}},
		{2, 99, []string{"missed to 100", "101", "102"}},
		{5, 0, []string{"103", "104", "105"}},
		{5, 101, []string{"missed to 102", "103", "104", "105"}},
		{5, 102, []string{"103", "104", "105"}},
	} {
		got := slices.Collect(filled(test.count).Read(context.Background(), test.after, missed))
		if !slices.Equal(got, test.want) {
			t.Errorf("%d entries, after %d: got %q, want %q", test.count, test.after, got, test.want)
		}
	}
}

func TestReadWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := journal.New[string](2, 1)
		ctx, cancel := context.WithCancel(context.Background())
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			got = slices.Collect(l.Read(ctx, 0, missed))
		}()
		for range 3 {
			synctest.Wait()
			l.Add(entry)
		}
		synctest.Wait()
		cancel()
		<-done
		if want := []string{"1", "2", "3"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// TestSlowReader: a reader that falls behind is told, and goes on with what is there.
func TestSlowReader(t *testing.T) {
	l := journal.New[string](2, 1)
	l.Add(entry)
	var got []string
	for e := range l.Read(context.Background(), 0, missed) {
		got = append(got, e)
		if e == "1" {
			for range 4 {
				l.Add(entry)
			}
			l.Close()
		}
	}
	if want := []string{"1", "missed to 3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestManyReadersSeeAll(t *testing.T) {
	const entries, readers = 500, 8
	l := journal.New[string](entries, 1)
	var group sync.WaitGroup
	for range readers {
		group.Go(func() {
			number := uint64(0)
			for e := range l.Read(context.Background(), 0, missed) {
				if number++; e != entry(number) {
					t.Errorf("got %q, want %q", e, entry(number))
				}
			}
			if number != entries {
				t.Errorf("saw %d entries, want %d", number, entries)
			}
		})
	}
	for range entries {
		l.Add(entry)
	}
	l.Close()
	group.Wait()
}

func TestReaderMayStop(t *testing.T) {
	for range filled(2).Read(context.Background(), 7, missed) {
		break
	}
	for range filled(2).Read(context.Background(), 0, missed) {
		break
	}
}
