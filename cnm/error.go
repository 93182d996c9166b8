package cnm

import (
	"errors"
	"strings"
)

// Kind classifies an error by what a caller can do about it. It is itself an
// error, so errors.Is(err, cnm.NotFound) works through any wrapping.
type Kind string

// Kinds of error.
const (
	Invalid     Kind = "invalid"        // the request is malformed: change it
	NotFound    Kind = "not found"      // the thing named does not exist
	Exists      Kind = "already exists" // the name, id or address is taken
	Forbidden   Kind = "forbidden"      // the state of things does not allow it now
	Exhausted   Kind = "exhausted"      // a pool, port range or limit is used up
	Unavailable Kind = "unavailable"    // a service we depend on does not answer
	Timeout     Kind = "timeout"        // it took too long
	Conflict    Kind = "conflict"       // somebody changed it meanwhile: try again
	Unsupported Kind = "unsupported"    // this build or kernel cannot do it
	Internal    Kind = "internal"       // a defect, or the machine let us down
)

// Error implements error.
func (k Kind) Error() string { return string(k) }

// Error says what operation met what kind of trouble.
type Error struct {
	// Op is the operation and its subject, as in `create network "web"`.
	Op string
	// Kind is never empty.
	Kind Kind
	// Err is the cause in words; it is never nil.
	Err error
}

// Error returns "op: cause".
func (e *Error) Error() string {
	if e.Op == "" {
		return e.Err.Error()
	}
	return e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is reports whether target is this error's kind.
func (e *Error) Is(target error) bool {
	kind, ok := target.(Kind)
	return ok && kind == e.Kind
}

// E returns an error of the given kind. With a nil cause the kind is the cause.
func E(op string, kind Kind, cause error) error {
	if cause == nil {
		cause = kind
	}
	return &Error{Op: op, Kind: kind, Err: cause}
}

// Wrap adds an operation to err and keeps its kind; nil stays nil. The operation
// is not repeated if err starts with it.
func Wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if strings.HasPrefix(err.Error(), op+": ") {
		return err
	}
	return &Error{Op: op, Kind: KindOf(err), Err: err}
}

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{Invalid, NotFound, Exists, Forbidden, Exhausted, Unavailable, Timeout, Conflict, Unsupported, Internal}
}

// KindOf returns the kind of the outermost error that has one, or else the first of Kinds
// that the error says it is; Internal otherwise.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	for _, kind := range Kinds() {
		if errors.Is(err, kind) {
			return kind
		}
	}
	return Internal
}
