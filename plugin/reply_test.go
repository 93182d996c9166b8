package plugin

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"
)

// Whatever a plugin answers: it is a value, an error of the plugin, or an error about it,
// of bounded length.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", "[]", `{"Err":"x"}`, `{"Error":"x"}`, `{"Err":{}}`, `{"Interface":{"Address":"10.0.0.2/24"}}`, `{"Value":{"a":[1,2,{"b":null}]}}`,
		`{"Interface":null,"StaticRoutes":[{"Destination":"10.0.0.0/8","RouteType":1}]}`, "<html>", `{"a":1}{`, "\xff", `{"err":"\ud800"}`, strings.Repeat("[", 100),
		`{"InterfaceName":{"SrcName":"a","DstPrefix":"eth"},"Gateway":"10.0.0.1"}`,
	} {
		f.Add(200, []byte(seed))
		f.Add(500, []byte(seed))
		f.Add(404, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, status int, answer []byte) {
		var into struct {
			Interface *struct{ Address string }
			Value     map[string]any
			Items     []string
			Gateway   string
		}
		err := decode(status, answer, &into)
		if err == nil {
			if status != 200 && status != 204 {
				t.Errorf("status %d is a success", status)
			}
			return
		}
		var answered *Error
		if is := errors.As(err, &answered); is && MayHaveHappened(err) {
			t.Errorf("the plugin refused, and it may have happened: %v", err)
		} else if is && (len(answered.Text) > longestText+len("...") || !utf8.ValidString(answered.Text)) {
			t.Errorf("%d bytes of the plugin's own words", len(answered.Text))
		}
		if len(err.Error()) > 10*longestText || !utf8.ValidString(err.Error()) {
			t.Errorf("the error has %d bytes", len(err.Error()))
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"unix:///run/x.sock", "tcp://127.0.0.1:80", "https://[::1]:443/", "unix://x", "tcp://a:b@c:1", "%", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAddress(text)
		if err == nil && (a.at == "" || a.network != "unix" && a.network != "tcp" || a.network == "unix" && !strings.HasPrefix(a.at, "/")) {
			t.Errorf("%q leads to %+v", text, a)
		}
		if _, err := parseJSON([]byte(text)); err == nil && !strings.Contains(text, "{") {
			t.Errorf("%q is taken for JSON", text)
		}
	})
}
