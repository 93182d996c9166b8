package remotestore

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/docker/libnetwork/cnm"
)

// Limits of Options.Timeout.
const (
	// DefaultTimeout is what zero means: longer than a cluster takes to choose a new
	// leader, so that losing one shows as a delay and not as an error.
	DefaultTimeout = 10 * time.Second
	leastTimeout   = 10 * time.Millisecond
	longestTimeout = 10 * time.Minute
)

// Options say how to talk to a store. The zero value is a plain connection without login.
type Options struct {
	// TLS nil means a connection without TLS.
	TLS *tls.Config
	// Username and Password are empty for a store without login.
	Username, Password string
	// Timeout bounds how long an operation waits for servers that do not answer, before
	// it is Unavailable. Operations that lose against others are not bounded by it but
	// by their context. Zero means DefaultTimeout.
	Timeout time.Duration
	// Log is told when servers stop to answer, answer again, and when an operation keeps
	// losing against others; nil means nobody.
	Log *slog.Logger
}

// Complete checks the options and fills in the defaults.
func (o Options) Complete() (Options, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Timeout < leastTimeout || o.Timeout > longestTimeout {
		return o, cnm.E("", cnm.Invalid, fmt.Errorf("time-out %s: is not from %s to %s", o.Timeout, leastTimeout, longestTimeout))
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.TLS = o.TLS.Clone()
	return o, nil
}

// CheckLogin refuses a password without a user name.
func (o Options) CheckLogin() error {
	if o.Password != "" && o.Username == "" {
		return cnm.E("", cnm.Invalid, errors.New("password: comes without a user name; give both, or none"))
	}
	return nil
}

// Share is the part of Timeout that one request may take.
func (o Options) Share() time.Duration { return o.Timeout / shares }
