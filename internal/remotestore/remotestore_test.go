package remotestore

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
)

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]Address{
		"h":                      {[]string{"h:7"}, "libnetwork"},
		"192.0.2.1:1, h:2/":      {[]string{"192.0.2.1:1", "h:2"}, "libnetwork"},
		" h:1/docker/nodes/ ":    {[]string{"h:1"}, "docker/nodes"},
		"[fd00::1]:1,[fd00::2]":  {[]string{"[fd00::1]:1", "[fd00::2]:7"}, "libnetwork"},
		"fd00::1/a.b-c_D":        {[]string{"[fd00::1]:7"}, "a.b-c_D"},
		"h:1/x,y:2" + "/"[:0]:    {},
		"h:1/..":                 {},
		"h:1/a//b":               {},
		"h:1/a b":                {},
		"h:1/" + long:            {},
		"":                       {},
		"h:1,":                   {},
		"/a":                     {},
		":1":                     {},
		"h:0":                    {},
		"h:65536":                {},
		"h:x":                    {},
		"a:b:c":                  {},
		"http://h:1":             {},
		"user@h:1":               {},
		strings.Repeat("h,", 65): {},
	} {
		got, err := ParseAddress(text, 7)
		if want.Servers == nil {
			if !errors.Is(err, cnm.Invalid) {
				t.Errorf("%q: %+v, error %v, want %q", text, got, err, cnm.Invalid)
			}
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, %s", text, err, diff)
		}
		if again, err := ParseAddress(got.String(), 9); cmp.Diff(got, again) != "" || err != nil {
			t.Errorf("%q is written %q, which is %+v, %v", text, got, again, err)
		}
	}
}

// long is a prefix that is too long.
var long = strings.Repeat("x", longestPrefix+1)

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"h:1/x", "a,b:2", "[fd00::1]:1", "http://h", "/", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseAddress(text, 7)
		if err != nil {
			return
		}
		if again, err := ParseAddress(got.String(), 9); err != nil || cmp.Diff(got, again) != "" {
			t.Fatalf("%q is %+v, written %q, which is %+v, %v", text, got, got, again, err)
		}
	})
}

func TestKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := string(rapid.SliceOfN(rapid.Byte(), 1, 20).Draw(t, "key"))
		allowed := rapid.SampledFrom([]string{"", "/"}).Draw(t, "allowed")
		escaped := EscapeKey(key, allowed)
		if got, ok := UnescapeKey(escaped); got != key || !ok {
			t.Fatalf("%q is escaped as %q, and that is %q, %v", key, escaped, got, ok)
		}
		if strings.ContainsFunc(escaped, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' && allowed == "" }) {
			t.Fatalf("%q is escaped as %q", key, escaped)
		}
	})
	for _, foreign := range []string{"", ".head", "%", "%zz"} {
		if key, ok := UnescapeKey(foreign); ok {
			t.Errorf("%q is said to be key %q", foreign, key)
		}
	}
}

func TestOptions(t *testing.T) {
	o, err := Options{}.Complete()
	if err != nil || o.Timeout != DefaultTimeout || o.Log == nil {
		t.Errorf("%+v, %v", o, err)
	}
	for _, timeout := range []time.Duration{-1, time.Millisecond, time.Hour} {
		if _, err := (Options{Timeout: timeout}).Complete(); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%s: error %v", timeout, err)
		}
	}
}

func options(t *testing.T) (Options, *strings.Builder) {
	t.Helper()
	var log strings.Builder
	o, err := Options{Log: slog.New(slog.NewTextHandler(&log, nil))}.Complete()
	if err != nil {
		t.Fatal(err)
	}
	return o, &log
}

var errDown = cnm.E("", cnm.Unavailable, errors.New("is down"))

// The tests of patience run in virtual time.

func TestAskGivesUpInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, log := options(t)
		calls := 0
		start := time.Now()
		err := o.Ask(context.Background(), "store", func(context.Context) error { calls++; return errDown })
		if took := time.Since(start); !errors.Is(err, cnm.Unavailable) || took < o.Timeout || took > o.Timeout+time.Second || calls < 10 {
			t.Errorf("error %v after %s and %d calls", err, took, calls)
		}
		if strings.Count(log.String(), "does not answer") != 1 {
			t.Errorf("log:\n%s", log)
		}
		start, calls = time.Now(), 0
		err = o.Ask(context.Background(), "store", func(ctx context.Context) error { calls++; <-ctx.Done(); return ctx.Err() })
		if took := time.Since(start); !errors.Is(err, cnm.Unavailable) || took < o.Timeout || took > o.Timeout+time.Second || calls < shares {
			t.Errorf("a silent server: error %v after %s and %d calls", err, took, calls)
		}
	})
}

func TestAskRecovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, log := options(t)
		calls := 0
		err := o.Ask(context.Background(), "store", func(context.Context) error {
			if calls++; calls < 5 {
				return errDown
			}
			return nil
		})
		if err != nil || !strings.Contains(log.String(), "answers again") {
			t.Errorf("error %v, log:\n%s", err, log)
		}
		err = o.Ask(context.Background(), "store", func(context.Context) error { calls++; return cnm.E("", cnm.Forbidden, nil) })
		if !errors.Is(err, cnm.Forbidden) || calls != 6 {
			t.Errorf("error %v after %d calls: what no try can mend is tried again", err, calls)
		}
	})
}

func TestAskEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := options(t)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		start := time.Now()
		err := o.Ask(ctx, "store", func(context.Context) error { return errDown })
		if !errors.Is(err, cnm.Timeout) || time.Since(start) != time.Second {
			t.Errorf("error %v after %s", err, time.Since(start))
		}
	})
}

func TestRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, log := options(t)
		calls := 0
		err := o.Race(context.Background(), "store", func(context.Context) error {
			if calls++; calls < 40 {
				return ErrLost
			}
			return nil
		})
		if err != nil || strings.Count(log.String(), "tries=") != 3 { // 8, 16, 32
			t.Errorf("error %v, log:\n%s", err, log)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := o.Race(ctx, "store", func(context.Context) error { return ErrLost }); !errors.Is(err, cnm.Timeout) {
			t.Errorf("error %v", err)
		}
	})
}

func TestGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g Gate
		ctx, leave, err := g.Enter(context.Background(), "store")
		if err != nil {
			t.Fatal(err)
		}
		var closed atomic.Bool
		go func() {
			if !g.Close() || g.Close() {
				t.Error("the first Close is not told from the second")
			}
			closed.Store(true)
		}()
		<-ctx.Done()
		synctest.Wait()
		if closed.Load() {
			t.Error("Close did not wait for what is under way")
		}
		if err := Interrupted(ctx, "store"); !errors.Is(err, cnm.Unavailable) {
			t.Errorf("error %v, want %q", err, cnm.Unavailable)
		}
		leave()
		synctest.Wait()
		if _, _, err := g.Enter(context.Background(), "store"); !closed.Load() || !errors.Is(err, cnm.Unavailable) {
			t.Errorf("closed: error %v, want %q", err, cnm.Unavailable)
		}
	})
}
