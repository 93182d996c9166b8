package client_test

import (
	"net/http"
	"net/http/httptest"
)

// direct answers without a connection.
type direct struct{ handler http.HandlerFunc }

// RoundTrip implements http.RoundTripper.
func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.handler(w, r)
	return w.Result(), nil
}
