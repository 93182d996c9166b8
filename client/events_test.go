package client_test

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

func pemOf(certificate []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
}

// TestEventsGoOn loses the connection after each event, and the daemon after the fourth:
// no event is missed, none comes twice.
func TestEventsGoOn(t *testing.T) {
	var life, unwell atomic.Int64
	c := over(t, func(w http.ResponseWriter, r *http.Request) {
		started := time.Unix(1000+life.Load(), 0).UTC()
		if r.URL.Path == "/info" {
			if unwell.Add(-1) >= 0 {
				http.Error(w, "starting", http.StatusServiceUnavailable)
				return
			}
			_ = json.NewEncoder(w).Encode(api.Info{Started: started})
			return
		}
		var after uint64
		if _, err := fmt.Sscan(r.URL.Query().Get("after"), &after); err != nil {
			t.Error(err)
		}
		if after == 4 && life.Load() == 0 {
			life.Add(1)
			unwell.Store(2)
			return
		}
		text, _ := json.Marshal(api.Event{Sequence: after + 1, Type: fmt.Sprint("life", life.Load())})
		_, _ = fmt.Fprintf(w, ": beat\r\n\r\nid: %d\r\nevent: x\r\ndata:%s\r\n\r\ndata: half", after+1, text)
	})
	var got []string
	lost := 0
	for event, err := range c.Events(t.Context(), client.EventOptions{After: 2, Lost: func(error) { lost++ }}) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, fmt.Sprint(event.Type, " ", event.Sequence)); len(got) == 4 {
			break
		}
	}
	if want := []string{"life0 3", "life0 4", "life1 1", "life1 2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if lost < 4 {
		t.Errorf("the connection was lost %d times", lost)
	}
}

func TestEventsEnd(t *testing.T) {
	for status, kind := range map[int]cnm.Kind{400: cnm.Invalid, 503: cnm.Unavailable} {
		c := over(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", status) })
		n := 0
		for _, err := range c.Events(t.Context(), client.EventOptions{}) {
			n++
			if !errors.Is(err, kind) {
				t.Errorf("%d: %v", status, err)
			}
		}
		if n != 1 {
			t.Errorf("%d: %d errors", status, n)
		}
	}
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("data: {}\n\n"))
	f.Add([]byte("data: {\"sequence\":1,\ndata: \"type\":\"x\"}\n\n: c\n\n"))
	f.Add([]byte("data\n\r\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		asked := 0
		handler := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/info" {
				_, _ = w.Write([]byte("{}"))
				return
			}
			if asked++; asked > 1 {
				http.Error(w, "enough", http.StatusBadRequest)
				return
			}
			_, _ = w.Write(text)
		}
		c, err := client.New("unix:///nowhere", client.WithTransport(func(http.RoundTripper) http.RoundTripper { return direct{handler} }))
		if err != nil {
			t.Fatal(err)
		}
		var last error
		for _, last = range c.Events(t.Context(), client.EventOptions{}) {
		}
		if last == nil {
			t.Error("it ended without an error, though the daemon refuses to go on")
		}
	})
}
