package types

import (
	"fmt"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// MaskableError marks an error that a caller may ignore, because what it asked for
// does not apply.
type MaskableError interface {
	// Maskable does nothing; it is the mark.
	Maskable()
}

// RetryError marks an error after which the same request may succeed if repeated.
type RetryError interface {
	// Retry does nothing; it is the mark.
	Retry()
}

// BadRequestError marks an error about a malformed request.
type BadRequestError interface {
	// BadRequest does nothing; it is the mark.
	BadRequest()
}

// NotFoundError marks an error about a thing that does not exist.
type NotFoundError interface {
	// NotFound does nothing; it is the mark.
	NotFound()
}

// ForbiddenError marks an error about a request that the state of things does not
// allow now.
type ForbiddenError interface {
	// Forbidden does nothing; it is the mark.
	Forbidden()
}

// NoServiceError marks an error about a service or resource that is not available.
type NoServiceError interface {
	// NoService does nothing; it is the mark.
	NoService()
}

// TimeoutError marks an error about an operation that took too long. It is not the
// Timeout method of net.Error, which returns a bool.
type TimeoutError interface {
	// Timeout does nothing; it is the mark.
	Timeout()
}

// NotImplementedError marks an error about an ability that is not there.
type NotImplementedError interface {
	// NotImplemented does nothing; it is the mark.
	NotImplemented()
}

// InternalError marks an error that the caller is not to blame for.
type InternalError interface {
	// Internal does nothing; it is the mark.
	Internal()
}

// BadRequestErrorf returns a BadRequestError that is cnm.Invalid to errors.Is. As
// all constructors here it formats as fmt.Errorf does, %w included.
func BadRequestErrorf(format string, params ...interface{}) error {
	return badRequest{classify(fmt.Errorf(format, params...), cnm.Invalid)}
}

// NotFoundErrorf returns a NotFoundError that is cnm.NotFound to errors.Is.
func NotFoundErrorf(format string, params ...interface{}) error {
	return notFound{classify(fmt.Errorf(format, params...), cnm.NotFound)}
}

// ForbiddenErrorf returns a ForbiddenError. To errors.Is it is cnm.Exists if it
// wraps an error of that kind, cnm.Forbidden otherwise.
func ForbiddenErrorf(format string, params ...interface{}) error {
	return forbidden{classify(fmt.Errorf(format, params...), cnm.Forbidden, cnm.Exists)}
}

// NoServiceErrorf returns a NoServiceError. To errors.Is it is cnm.Exhausted if it
// wraps an error of that kind, cnm.Unavailable otherwise.
func NoServiceErrorf(format string, params ...interface{}) error {
	return noService{classify(fmt.Errorf(format, params...), cnm.Unavailable, cnm.Exhausted)}
}

// NotImplementedErrorf returns a NotImplementedError that is cnm.Unsupported to
// errors.Is.
func NotImplementedErrorf(format string, params ...interface{}) error {
	return notImplemented{classify(fmt.Errorf(format, params...), cnm.Unsupported)}
}

// TimeoutErrorf returns a TimeoutError that is cnm.Timeout to errors.Is.
func TimeoutErrorf(format string, params ...interface{}) error {
	return timeout{classify(fmt.Errorf(format, params...), cnm.Timeout)}
}

// InternalErrorf returns an InternalError that is cnm.Internal to errors.Is.
func InternalErrorf(format string, params ...interface{}) error {
	return internal{classify(fmt.Errorf(format, params...), cnm.Internal)}
}

// InternalMaskableErrorf returns an error that is both an InternalError and a
// MaskableError, and cnm.Internal to errors.Is.
func InternalMaskableErrorf(format string, params ...interface{}) error {
	return internalMaskable{classify(fmt.Errorf(format, params...), cnm.Internal)}
}

// RetryErrorf returns a RetryError that is cnm.Conflict to errors.Is.
func RetryErrorf(format string, params ...interface{}) error {
	return retry{classify(fmt.Errorf(format, params...), cnm.Conflict)}
}

// classified is the part that all marked errors share.
type classified struct{ error }

// Unwrap leads to the kind and to whatever the error wraps.
func (c classified) Unwrap() error { return c.error }

// classify gives err a kind: its own if that is among kinds, else the first.
func classify(err error, kinds ...cnm.Kind) classified {
	kind := kinds[0]
	if own := cnm.KindOf(err); slices.Contains(kinds, own) {
		kind = own
	}
	return classified{cnm.E("", kind, err)}
}

// The types below are told apart by their only exported methods, so that an error
// answers to its own marker and to no other.
type (
	badRequest       struct{ classified }
	notFound         struct{ classified }
	forbidden        struct{ classified }
	noService        struct{ classified }
	notImplemented   struct{ classified }
	timeout          struct{ classified }
	internal         struct{ classified }
	internalMaskable struct{ classified }
	retry            struct{ classified }
)

func (badRequest) BadRequest()         {}
func (notFound) NotFound()             {}
func (forbidden) Forbidden()           {}
func (noService) NoService()           {}
func (notImplemented) NotImplemented() {}
func (timeout) Timeout()               {}
func (internal) Internal()             {}
func (internalMaskable) Internal()     {}
func (internalMaskable) Maskable()     {}
func (retry) Retry()                   {}

// ErrInvalidProtocolBinding is the error for a protocol without ports; its value
// is the protocol's name.
type ErrInvalidProtocolBinding string

// Error implements error.
func (ipb ErrInvalidProtocolBinding) Error() string {
	return fmt.Sprintf("protocol %q: has no ports to bind; use tcp, udp or sctp", string(ipb))
}

// Unwrap makes errors.Is(err, cnm.Invalid) true.
func (ipb ErrInvalidProtocolBinding) Unwrap() error { return cnm.Invalid }
