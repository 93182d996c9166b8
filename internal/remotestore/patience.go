package remotestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// Pauses between tries double from the first to the last, less a random part, so that
// those who collided do not collide again.
const (
	firstConflictPause = time.Millisecond
	lastConflictPause  = 100 * time.Millisecond
	firstAnswerPause   = 20 * time.Millisecond
	lastAnswerPause    = 500 * time.Millisecond
)

// shares is how many tries fit into the time-out, so that one server that is silent
// leaves time to ask another.
const shares = 3

// longestLogged is how often an operation may lose before it is told at each doubling.
const longestLogged = 8

// pause waits before the n-th try, from 1 on, or until ctx is done.
func pause(ctx context.Context, n int, first, last time.Duration) error {
	d := last
	if n < 16 {
		d = min(first<<(n-1), last)
	}
	return Sleep(ctx, d/2+rand.N(d/2+1))
}

// Sleep waits, or returns the cause when ctx is done.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Ask calls request, again while it is Unavailable, for as long as Options.Timeout
// allows. Each call gets a part of that time. If ctx ends first the error is Timeout.
func (o Options) Ask(ctx context.Context, store string, request func(context.Context) error) error {
	start := time.Now()
	for n := 1; ; n++ {
		err := o.try(ctx, store, start, request)
		if err == nil {
			if n > 1 {
				o.Log.Info("store answers again", "store", store, "after", time.Since(start).Round(time.Millisecond))
			}
			return nil
		}
		if !errors.Is(err, cnm.Unavailable) || errors.Is(err, ErrClosed) {
			return err
		}
		if n == 1 {
			o.Log.Warn("store does not answer", "store", store, "error", err)
		}
		left := o.Timeout - time.Since(start)
		if left <= 0 {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, left)
		_ = pause(waiting, n, firstAnswerPause, lastAnswerPause)
		cancel()
		if ctx.Err() != nil {
			return Interrupted(ctx, store)
		}
		if time.Since(start) >= o.Timeout {
			return err
		}
	}
}

func (o Options) try(ctx context.Context, store string, start time.Time, request func(context.Context) error) error {
	if ctx.Err() != nil {
		return Interrupted(ctx, store)
	}
	share := min(o.Share(), o.Timeout-time.Since(start))
	short, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	err := request(short)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return Interrupted(ctx, store)
	case short.Err() != nil && !errors.Is(err, cnm.Unavailable):
		return cnm.E(store, cnm.Unavailable, fmt.Errorf("no answer: %w", err))
	}
	return err
}

// Interrupted returns the error for a context that is done: Timeout, or Unavailable if
// the store was closed.
func Interrupted(ctx context.Context, store string) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, ErrClosed) {
		return cnm.E(store, cnm.Unavailable, ErrClosed)
	}
	return cnm.E(store, cnm.Timeout, cause)
}

// Race calls attempt, again while it is Conflict, until ctx is done.
func (o Options) Race(ctx context.Context, store string, attempt func(context.Context) error) error {
	start := time.Now()
	for n := 1; ; n++ {
		if ctx.Err() != nil {
			return Interrupted(ctx, store)
		}
		err := attempt(ctx)
		if !errors.Is(err, ErrLost) {
			return err
		}
		if n >= longestLogged && n&(n-1) == 0 {
			o.Log.Info("store: others keep changing the same entries; trying on", "store", store, "tries", n,
				"for", time.Since(start).Round(time.Millisecond))
		}
		if pause(ctx, n, firstConflictPause, lastConflictPause) != nil {
			return Interrupted(ctx, store)
		}
	}
}

// Errors of stores. They are not to be changed.
var (
	// ErrLost ends an attempt of Race that is to be made again.
	ErrLost = errors.New("somebody else changed what was read")
	// ErrClosed is the cause when a closed store is used.
	ErrClosed = errors.New("is closed")
)
