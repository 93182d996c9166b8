package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
)

// heartbeat is how often a stream of events without events says that it lives: less than
// what proxies take for dead, which is a minute as a rule.
const heartbeat = 15 * time.Second

// closeTime is how long a client may take for what is on its way when the server closes:
// a small part of the time that a daemon has to end.
const closeTime = time.Second

// events streams as the HTML standard's section on server-sent events says.
func (s *Server) events(r *request) error {
	after, err := r.after()
	if err != nil {
		return err
	}
	control := http.NewResponseController(r.w)
	r.w.Header().Set("Content-Type", "text/event-stream")
	r.w.Header().Set("Cache-Control", "no-store")
	send := func(text string) bool {
		// A client that takes nothing is cut off, and may come back for what it missed.
		_, err := r.w.Write([]byte(text))
		return err == nil && control.Flush() == nil
	}
	if p, ok := r.w.(*pieces); ok {
		p.ending = s.ctx
	}
	// What is being written to a client that takes nothing would outlast Close.
	defer context.AfterFunc(s.ctx, func() { _ = control.SetWriteDeadline(time.Now().Add(closeTime)) })()
	if !send(": events\n\n") {
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	// What is read in another goroutine is waited for at the end.
	read := make(chan libnetwork.Event)
	go func() {
		defer close(read)
		for event := range s.Inspector.Events(ctx, after) {
			select {
			case read <- event:
			case <-ctx.Done():
				return
			}
		}
	}()
	defer func() {
		cancel()
		for range read { //nolint:revive // what is read no more is dropped
		}
	}()
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case event, more := <-read:
			if !more || r.wantsEvent(event) && !send(eventText(event)) {
				return nil
			}
		case <-ticker.C:
			if !send(": still here\n\n") {
				return nil
			}
		}
	}
}

// after returns the number of the last event that the client has seen: without one,
// those to come are meant.
func (r *request) after() (uint64, error) {
	text := r.Header.Get("Last-Event-ID")
	if text == "" {
		text = r.query.Get("after")
	}
	if text == "" {
		return 1<<64 - 1, nil
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, invalid("query \"after\": value %q: want the number of an event, or 0 for all that are remembered", text)
	}
	return after, nil
}

func (r *request) wantsEvent(e libnetwork.Event) bool {
	kind, action := r.query.Get("type"), r.query.Get("action")
	if e.Action == libnetwork.EventMissed {
		return true
	}
	return (kind == "" || kind == string(e.Type)) && (action == "" || action == string(e.Action))
}

func eventText(e libnetwork.Event) string {
	text, err := json.Marshal(api.Event{
		Sequence: e.Sequence, Time: e.Time, Type: string(e.Type), Action: string(e.Action), ID: e.ID, Name: e.Name,
		Network: e.Network, NetworkID: e.NetworkID, Container: e.Container, SandboxID: e.SandboxID, Detail: e.Detail,
	})
	if err != nil { // there is nothing in it that can fail
		return ": " + err.Error() + "\n\n"
	}
	return fmt.Sprintf("id: %d\nevent: %s.%s\ndata: %s\n\n", e.Sequence, e.Type, e.Action, text)
}
