package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/api"
)

// follower is a client that reads events.
type follower struct {
	cancel context.CancelFunc
	// events has what was read, and is closed when the stream has ended.
	events chan api.Event
	// err is why it ended, to be looked at when events is closed; nil is an end that the
	// server made as it should.
	err error
}

// follow asks for events, from the one behind after on; empty means those to come. It
// returns when the stream has begun.
func follow(t *testing.T, client *http.Client, after string) *follower {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/events?type=network", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	answer, err := client.Do(req) //nolint:bodyclose // who reads it closes it, below
	if err != nil {
		t.Fatal(err)
	}
	if kind := answer.Header.Get("Content-Type"); answer.StatusCode != http.StatusOK || kind != "text/event-stream" {
		t.Fatalf("got %d of type %q", answer.StatusCode, kind)
	}
	f := &follower{cancel: cancel, events: make(chan api.Event)}
	go func() {
		defer close(f.events)
		defer answer.Body.Close() //nolint:errcheck // read only
		lines, id := bufio.NewScanner(answer.Body), ""
		for lines.Scan() {
			if number, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
				id = number
			}
			text, ok := strings.CutPrefix(lines.Text(), "data: ")
			if !ok {
				continue
			}
			var event api.Event
			if err := json.Unmarshal([]byte(text), &event); err != nil || strconv.FormatUint(event.Sequence, 10) != id {
				t.Errorf("event %q with id %q: %v", text, id, err)
			}
			select {
			case f.events <- event:
			case <-ctx.Done():
				return
			}
		}
		f.err = lines.Err()
	}()
	t.Cleanup(func() { f.stop() })
	return f
}

// stop ends the follower, and waits for it.
func (f *follower) stop() {
	f.cancel()
	for range f.events { //nolint:revive // what is read no more is dropped
	}
}

// take returns the next events.
func (f *follower) take(t *testing.T, count int) []api.Event {
	t.Helper()
	var got []api.Event
	limit := time.After(20 * time.Second)
	for len(got) < count {
		select {
		case event, more := <-f.events:
			if !more {
				t.Fatalf("the stream ended after %d of %d events", len(got), count)
			}
			got = append(got, event)
		case <-limit:
			t.Fatalf("%d of %d events came", len(got), count)
		}
	}
	return got
}

// createAndDelete makes networks and deletes them, one after the other.
func (d *daemon) createAndDelete(prefix string, count int) error {
	for i := range count {
		name := prefix + strconv.Itoa(i)
		if answer := d.ask("POST", "/networks", fmt.Sprintf(`{"name":%q}`, name)); answer.Code != http.StatusCreated {
			return fmt.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
		if answer := d.ask("DELETE", "/networks/"+name, ""); answer.Code != http.StatusOK {
			return fmt.Errorf("%s: %d %s", name, answer.Code, answer.Body)
		}
	}
	return nil
}

// checkEvents holds events to what createAndDelete does, in this order and nothing else.
func checkEvents(t *testing.T, what, prefix string, got []api.Event) {
	t.Helper()
	for i, event := range got {
		want := []string{"create ", "delete "}[i%2] + prefix + strconv.Itoa(i/2)
		if text := event.Action + " " + event.Name; text != want || i > 0 && event.Sequence <= got[i-1].Sequence {
			t.Fatalf("%s: event %d is %q with number %d, want %q", what, i, text, event.Sequence, want)
		}
	}
}

// TestFollowersSeeAllInOrder: whoever reads while things happen sees each of them, once.
func TestFollowersSeeAllInOrder(t *testing.T) {
	d := newDaemon(t)
	client := d.serve(t)
	var followers []*follower
	for range 5 {
		followers = append(followers, follow(t, client, ""))
	}
	done := make(chan error, 1)
	const networks = 25
	go func() { done <- d.createAndDelete("n", networks) }()
	for i, f := range followers { // the others wait meanwhile: nothing may be lost to them
		checkEvents(t, fmt.Sprintf("follower %d", i), "n", f.take(t, 2*networks))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestReconnectMissesNothing: a client goes away in the middle, again and again, while things
// happen, and names the last event that it has seen when it is back.
func TestReconnectMissesNothing(t *testing.T) {
	d := newDaemon(t)
	client := d.serve(t)
	const networks = 30
	done := make(chan error, 1)
	go func() { done <- d.createAndDelete("n", networks) }()
	var got []api.Event
	for last := "0"; len(got) < 2*networks; last = strconv.FormatUint(got[len(got)-1].Sequence, 10) {
		f := follow(t, client, last)
		got = append(got, f.take(t, min(7, 2*networks-len(got)))...)
		f.stop()
	}
	checkEvents(t, "a client that comes back", "n", got)
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Without a number only what is to come is told.
	fresh := follow(t, client, "")
	if err := d.createAndDelete("later", 1); err != nil {
		t.Error(err)
	}
	checkEvents(t, "a new client", "later", fresh.take(t, 2))
}

// blockedStreams counts the streams of events whose client takes nothing any more.
func blockedStreams() int {
	stacks := make([]byte, 4<<20)
	count := 0
	for stack := range strings.SplitSeq(string(stacks[:runtime.Stack(stacks, true)]), "\n\n") {
		if strings.Contains(stack, "(*Server).events(") && strings.Contains(stack, "waitWrite") {
			count++
		}
	}
	return count
}

// waitFor waits until something is so.
func waitFor(t *testing.T, what string, limit time.Duration, isSo func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !isSo(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not so after %s: %s", limit, what)
		}
	}
}

// dialDeaf connects clients that ask for all events, and read nothing.
func dialDeaf(t *testing.T, client *http.Client, number int) {
	t.Helper()
	for range number {
		conn, err := client.Transport.(*http.Transport).DialContext(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		if _, err := conn.Write([]byte("GET /events?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
	}
}

// TestDeafClientsSlowNobody: clients that ask for events and read nothing, until all buffers
// are full, slow neither operations nor those who read; and Close ends the streams of both.
func TestDeafClientsSlowNobody(t *testing.T) {
	d := newDaemon(t)
	client := d.serve(t)
	const networks, deaf = 25, 20
	timed := func(prefix string, reader *follower) time.Duration {
		start := time.Now()
		if err := d.createAndDelete(prefix, networks); err != nil {
			t.Fatal(err)
		}
		checkEvents(t, "the reader", prefix, reader.take(t, 2*networks))
		return time.Since(start)
	}
	for i := range 1500 { // cheap events, more than the buffers of a socket have room for
		if answer := d.ask("POST", "/sandboxes", fmt.Sprintf(`{"container_id":"c%d","use_external_key":true}`, i%50)); answer.Code != http.StatusCreated {
			t.Fatal(answer.Body)
		}
		if answer := d.ask("DELETE", fmt.Sprintf("/sandboxes/c%d", i%50), ""); answer.Code != http.StatusOK {
			t.Fatal(answer.Body)
		}
	}
	reader := follow(t, client, "")
	quiet := timed("quiet", reader)
	dialDeaf(t, client, deaf)
	waitFor(t, "all deaf clients block their streams", 10*time.Second, func() bool { return blockedStreams() == deaf })
	beside := timed("beside", reader)
	if count := blockedStreams(); count != deaf {
		t.Errorf("%d streams are blocked, want %d", count, deaf)
	}
	t.Logf("%d operations: %s, and %s beside %d clients that read nothing", 2*networks, quiet, beside, deaf)
	if beside > 5*quiet+2*time.Second {
		t.Errorf("operations took %s, and %s beside clients that read nothing", quiet, beside)
	}
	start := time.Now()
	if err := d.handler.Close(); err != nil {
		t.Error(err)
	}
	waitFor(t, "the reader's stream ends", 5*time.Second, func() bool {
		select {
		case _, more := <-reader.events:
			return !more
		default:
			return false
		}
	})
	if reader.err != nil {
		t.Errorf("the reader's stream was cut: %v", reader.err)
	}
	waitFor(t, "the streams of deaf clients end", 5*time.Second, func() bool { return blockedStreams() == 0 })
	t.Logf("all streams ended %s after Close", time.Since(start))
}
