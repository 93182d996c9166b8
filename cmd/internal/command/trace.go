package command

import (
	"net/http"
	"time"
)

// tracer tells of each request.
type tracer struct {
	next http.RoundTripper
	app  *app
}

func (a *app) traced(next http.RoundTripper) http.RoundTripper { return tracer{next, a} }

// RoundTrip implements http.RoundTripper.
func (t tracer) RoundTrip(asked *http.Request) (*http.Response, error) {
	start := time.Now()
	answer, err := t.next.RoundTrip(asked)
	result := "no answer"
	if err == nil {
		result = answer.Status
	}
	t.app.notef("%s %s: %s in %s\n", asked.Method, asked.URL.RequestURI(), result, time.Since(start).Round(10*time.Microsecond))
	return answer, err
}
