package types_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// markers returns the names of the marker interfaces that err itself answers to.
func markers(err error) []string {
	var names []string
	add := func(name string, ok bool) {
		if ok {
			names = append(names, name)
		}
	}
	_, ok := err.(types.BadRequestError)
	add("bad request", ok)
	_, ok = err.(types.ForbiddenError)
	add("forbidden", ok)
	_, ok = err.(types.InternalError)
	add("internal", ok)
	_, ok = err.(types.MaskableError)
	add("maskable", ok)
	_, ok = err.(types.NoServiceError)
	add("no service", ok)
	_, ok = err.(types.NotFoundError)
	add("not found", ok)
	_, ok = err.(types.NotImplementedError)
	add("not implemented", ok)
	_, ok = err.(types.RetryError)
	add("retry", ok)
	_, ok = err.(types.TimeoutError)
	add("timeout", ok)
	return names
}

func TestErrorsBearTheirMarkerAlone(t *testing.T) {
	tests := []struct {
		make    func(string, ...interface{}) error
		markers []string
		kind    cnm.Kind
	}{
		{types.BadRequestErrorf, []string{"bad request"}, cnm.Invalid},
		{types.ForbiddenErrorf, []string{"forbidden"}, cnm.Forbidden},
		{types.InternalErrorf, []string{"internal"}, cnm.Internal},
		{types.InternalMaskableErrorf, []string{"internal", "maskable"}, cnm.Internal},
		{types.NoServiceErrorf, []string{"no service"}, cnm.Unavailable},
		{types.NotFoundErrorf, []string{"not found"}, cnm.NotFound},
		{types.NotImplementedErrorf, []string{"not implemented"}, cnm.Unsupported},
		{types.RetryErrorf, []string{"retry"}, cnm.Conflict},
		{types.TimeoutErrorf, []string{"timeout"}, cnm.Timeout},
	}
	for _, test := range tests {
		t.Run(test.markers[0], func(t *testing.T) {
			err := test.make("read %q: %w", "x", io.EOF)
			if got := markers(err); !slices.Equal(got, test.markers) {
				t.Errorf("markers %q, want %q", got, test.markers)
			}
			if got := err.Error(); got != `read "x": EOF` {
				t.Errorf("message %s", got)
			}
			if !errors.Is(err, io.EOF) {
				t.Error("the cause is lost")
			}
			if !errors.Is(err, test.kind) || cnm.KindOf(err) != test.kind {
				t.Errorf("kind %q, want %q", cnm.KindOf(err), test.kind)
			}
			for _, other := range []cnm.Kind{cnm.Invalid, cnm.NotFound, cnm.Exists, cnm.Forbidden, cnm.Timeout, cnm.Conflict} {
				if other != test.kind && errors.Is(err, other) {
					t.Errorf("is also %q", other)
				}
			}
			if wrapped := cnm.Wrap("op", err); cnm.KindOf(wrapped) != test.kind || !errors.Is(wrapped, err) {
				t.Errorf("wrapped: %v", wrapped)
			}
		})
	}
}

func TestErrorsKeepTheFinerKind(t *testing.T) {
	tests := []struct {
		err  error
		want cnm.Kind
	}{
		{types.ForbiddenErrorf("%w", cnm.E("op", cnm.Exists, nil)), cnm.Exists},
		{types.ForbiddenErrorf("%w", cnm.E("op", cnm.Invalid, nil)), cnm.Forbidden},
		{types.NoServiceErrorf("%w", cnm.Exhausted), cnm.Exhausted},
		{types.NoServiceErrorf("%w", io.EOF), cnm.Unavailable},
	}
	for _, test := range tests {
		if !errors.Is(test.err, test.want) || cnm.KindOf(test.err) != test.want {
			t.Errorf("%v: kind %q, want %q", test.err, cnm.KindOf(test.err), test.want)
		}
	}
}

func TestErrInvalidProtocolBinding(t *testing.T) {
	err := error(types.ErrInvalidProtocolBinding("icmp"))
	if got := err.Error(); got != `protocol "icmp": has no ports to bind; use tcp, udp or sctp` {
		t.Error(got)
	}
	if cnm.KindOf(err) != cnm.Invalid {
		t.Error("not of kind invalid")
	}
}
