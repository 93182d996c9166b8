package setkey_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/setkey"
)

func TestReadTakesOneRequestHoweverItComes(t *testing.T) {
	const text = `{"ContainerID":"c1","Key":"/proc/7/ns/net","OTelTrace":{"traceparent":"00-1"}}`
	want := setkey.Request{ContainerID: "c1", Key: "/proc/7/ns/net"}
	for name, from := range map[string]io.Reader{
		"whole":      strings.NewReader(text),
		"with more":  strings.NewReader(text + "\nrest"),
		"in pieces":  iotest.OneByteReader(strings.NewReader(text)),
		"from above": iotest.DataErrReader(strings.NewReader(text)),
		// Those of 2017 keep their end open while they wait.
		"without end": io.MultiReader(strings.NewReader(text), iotest.ErrReader(errors.New("read on"))),
	} {
		if got, err := setkey.Read(from); err != nil || got != want {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	for text, says := range map[string]string{
		"":                                      "EOF",
		"{":                                     "unexpected EOF",
		"[]":                                    "cannot unmarshal",
		`{"ContainerID":1}`:                     "cannot unmarshal",
		`{}`:                                    "container's id is empty",
		`{"ContainerID":"c"}`:                   "key is empty",
		`{"ContainerID":"c","Key":"ns/net"}`:    "absolute path",
		`{"ContainerID":"c","Key":"/a\u0000b"}`: "absolute path",
		`{"ContainerID":"c","Key":"/proc/self/ns/net"}`:               "by its number",
		`{"ContainerID":"c","Key":"/proc//./self/ns/net"}`:            "by its number",
		`{"ContainerID":"c","Key":"/proc/thread-self/ns/net"}`:        "by its number",
		`{"ContainerID":"` + strings.Repeat("c", 20<<10) + `"}`:       "larger than",
		strings.Repeat(" ", 1<<20):                                    "larger than",
		`{"OTelTrace":` + strings.Repeat(`{"a":`, 4000) + `1` + `...`: "larger than",
	} {
		got, err := setkey.Read(strings.NewReader(text))
		if !errors.Is(err, cnm.Invalid) || !strings.Contains(err.Error(), says) {
			t.Errorf("%.40q: %+v, %v; want %q", text, got, err, says)
		}
	}
	_, err := setkey.Read(iotest.ErrReader(os.ErrDeadlineExceeded))
	if !errors.Is(err, cnm.Timeout) {
		t.Errorf("late: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"ContainerID":"c1","Key":"/proc/7/ns/net"}`))
	f.Add([]byte(`{"containerid":null,"Key":"/x"} {`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := setkey.Read(iotest.HalfReader(strings.NewReader(string(text))))
		if err != nil && !errors.Is(err, cnm.Invalid) {
			t.Errorf("kind of %v", err)
		}
		if err == nil && (r.ContainerID == "" || !filepath.IsAbs(r.Key)) {
			t.Errorf("took %+v", r)
		}
	})
}

func TestSocket(t *testing.T) {
	for id, want := range map[string]string{
		"0123456789abcdef0123456789abcdef": "/run/x/libnetwork/0123456789ab.sock",
		"0123456789ab":                     "/run/x/libnetwork/0123456789ab.sock",
		"c":                                "/run/x/libnetwork/c.sock",
	} {
		if got := setkey.Socket("/run/x", id); got != want {
			t.Errorf("%q: %q", id, got)
		}
	}
}

// server answers each connection by what it is given.
func server(t *testing.T, answer func(setkey.Request, net.Conn, net.Listener)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			var r setkey.Request
			if json.NewDecoder(conn).Decode(&r) == nil {
				answer(r, conn, listener)
			}
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { _ = listener.Close(); <-done })
	return path
}

func TestSend(t *testing.T) {
	request := setkey.Request{ContainerID: "c1", Key: "/proc/7/ns/net"}
	say := func(pieces ...string) func(setkey.Request, net.Conn, net.Listener) {
		return func(r setkey.Request, conn net.Conn, _ net.Listener) {
			if r != request {
				t.Errorf("asked %+v", r)
			}
			for _, piece := range pieces {
				if _, err := io.WriteString(conn, piece); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	for _, test := range []struct {
		name   string
		answer func(setkey.Request, net.Conn, net.Listener)
		kind   cnm.Kind
		says   string
	}{
		{"success", say("success"), "", ""},
		{"success in pieces", say("suc", "cess"), "", ""},
		{"nothing, from one that lives", say(), "", ""},
		{"nothing, from one that has ended", func(_ setkey.Request, _ net.Conn, l net.Listener) { _ = l.Close() }, cnm.Unavailable, "ended before it had answered"},
		{"refusal", say("set key: no ", "sandbox"), cnm.Forbidden, "set key: no sandbox"},
		{"success and more", say("successful"), cnm.Forbidden, "successful"},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := setkey.Send(t.Context(), server(t, test.answer), request)
			if test.kind == "" && err != nil || test.kind != "" && (!errors.Is(err, test.kind) || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestSendWithoutAController(t *testing.T) {
	request := setkey.Request{ContainerID: "c1", Key: "/proc/7/ns/net"}
	if err := setkey.Send(t.Context(), filepath.Join(t.TempDir(), "none"), request); !errors.Is(err, cnm.Unavailable) {
		t.Errorf("no socket: %v", err)
	}
	if err := setkey.Send(t.Context(), "/nowhere", setkey.Request{}); !errors.Is(err, cnm.Invalid) {
		t.Errorf("no request: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	silent := server(t, func(_ setkey.Request, conn net.Conn, _ net.Listener) { _, _ = conn.Read(make([]byte, 1)) })
	if err := setkey.Send(ctx, silent, request); !errors.Is(err, cnm.Timeout) {
		t.Errorf("no answer: %v", err)
	}
}
