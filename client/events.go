package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// FromNow as EventOptions.After begins with the next event that happens.
const FromNow uint64 = math.MaxUint64

// How long to wait before the daemon is asked again after it was lost, at first and at
// most.
const (
	firstWait = 100 * time.Millisecond
	longWait  = 3 * time.Second
)

// longestEvent is far above what an event takes, in bytes.
const longestEvent = 1 << 20

// EventOptions say which events to read.
type EventOptions struct {
	// After is the sequence of the event behind which to begin. Zero begins with the
	// oldest that the daemon remembers.
	After uint64
	// Type and Action, if not empty, are those of the events wanted.
	Type, Action string
	// Lost, if it is not nil, is called when the connection is lost and will be made
	// again, with the reason.
	Lost func(error)
}

// Events returns what happens, until ctx is done, which ends it without an error. If the
// daemon is lost on the way, it is asked again behind the last event seen, however long
// that takes; a daemon that was started anew is asked for all its events, also if none was
// seen before. The first request is not repeated: its error is the only one, and
// ends it. So does an error that says that asking again is of no use.
func (c *Client) Events(ctx context.Context, options EventOptions) iter.Seq2[api.Event, error] {
	return func(yield func(api.Event, error) bool) {
		started, err := c.started(ctx)
		wait := firstWait
		for first := true; ; first = false {
			if err == nil {
				var seen bool
				seen, err = c.stream(ctx, &options.After, options, func(e api.Event) bool { return yield(e, nil) })
				if errors.Is(err, errEnough) {
					return
				}
				if seen {
					wait, first = firstWait, false
				}
			}
			if ctx.Err() != nil {
				return
			}
			if first && !errors.Is(err, errBroken) || isFinal(err) {
				yield(api.Event{}, err)
				return
			}
			if options.Lost != nil {
				options.Lost(err)
			}
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			wait = min(2*wait, longWait)
			var now time.Time
			if now, err = c.started(ctx); err == nil && !now.Equal(started) {
				started, options.After = now, 0
			}
		}
	}
}

// errEnough ends a stream because nobody wants more of it; errBroken is of one that had
// begun.
var (
	errEnough = errors.New("no more events are wanted")
	errBroken = errors.New("the stream of events ended")
)

// isFinal reports whether asking again would give the same answer.
func isFinal(err error) bool {
	switch cnm.KindOf(err) {
	case cnm.Invalid, cnm.Unsupported, cnm.NotFound, cnm.Forbidden:
		return true
	}
	return false
}

// started tells one life of the daemon from another. Servers that do not say are taken
// for one that lives on.
func (c *Client) started(ctx context.Context) (time.Time, error) {
	info, err := c.Info(ctx)
	if errors.Is(err, cnm.NotFound) || errors.Is(err, cnm.Unsupported) {
		err = nil
	}
	return info.Started, err
}

// stream reads one connection's events; seen reports whether there was any.
func (c *Client) stream(ctx context.Context, after *uint64, options EventOptions, yield func(api.Event) bool) (seen bool, err error) {
	text := strconv.FormatUint(*after, 10)
	r := get("events").where("after", text, "type", options.Type, "action", options.Action)
	r.accept = "text/event-stream"
	answer, err := c.send(ctx, r)
	if err != nil {
		return false, err
	}
	defer answer.Body.Close() //nolint:errcheck // read only
	for data, err := range messages(answer.Body) {
		if err != nil {
			return seen, errors.Join(errBroken, err)
		}
		var event api.Event
		if err := json.Unmarshal([]byte(data), &event); err != nil {
			return seen, c.garbled(ctx, r, err)
		}
		seen = true
		if event.Sequence > 0 {
			*after = event.Sequence
		}
		if !yield(event) {
			return seen, errEnough
		}
	}
	return seen, errBroken
}

// messages returns the data of each server-sent event. Comments, and fields other than
// data, are left out: what they say is in the data too.
func messages(from io.Reader) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(make([]byte, 4096), longestEvent)
		var data []string
		for lines.Scan() {
			line := strings.TrimSuffix(lines.Text(), "\r")
			if line == "" {
				if len(data) > 0 && !yield(strings.Join(data, "\n"), nil) {
					return
				}
				data = nil
				continue
			}
			if field, value, _ := strings.Cut(line, ":"); field == "data" {
				data = append(data, strings.TrimPrefix(value, " "))
			}
		}
		if err := lines.Err(); err != nil {
			yield("", err)
		}
	}
}
