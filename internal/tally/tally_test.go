package tally_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/internal/tally"
)

func TestTally(t *testing.T) {
	var all tally.Tally[string]
	if got := all.Counts(); len(got) != 0 {
		t.Errorf("the zero tally has counted %v", got)
	}
	all.Add("join", time.Millisecond, false, "")
	all.Add("join", time.Millisecond+1, true, "invalid")
	all.Add("join", time.Hour, true, "invalid")
	all.Add("create", 0, false, "ignored")
	buckets := func(used ...int) []uint64 {
		out := make([]uint64, len(tally.Bounds())+1)
		for _, i := range used {
			out[i]++
		}
		return out
	}
	want := []tally.Count[string]{
		{Name: "create", Failures: map[string]uint64{}, Buckets: buckets(0), Count: 1},
		{
			Name: "join", Failures: map[string]uint64{"invalid": 2}, Count: 3,
			Buckets: buckets(1, 2, len(tally.Bounds())), Sum: time.Hour + 2*time.Millisecond + 1,
		},
	}
	if diff := cmp.Diff(want, all.Counts()); diff != "" {
		t.Errorf("want -, got +:\n%s", diff)
	}
	all.Counts()[1].Failures["invalid"] = 9
	if diff := cmp.Diff(want, all.Counts()); diff != "" {
		t.Errorf("a count returned is not a copy:\n%s", diff)
	}
}
