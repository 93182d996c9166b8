package api

import (
	"net/http"

	"github.com/docker/libnetwork/cnm"
)

// Error is the body of an error for a client that accepts JSON. The client returns it as
// an error that answers to errors.Is with the kinds of package cnm.
type Error struct {
	// Message says what happened to what and why.
	Message string `json:"message"`
	// Kind is one of package cnm's.
	Kind cnm.Kind `json:"kind"`
	// Detail says what to do, if there is more to say than the message does.
	Detail string `json:"detail,omitempty"`
}

// Error returns the message.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the kind, for errors.Is and cnm.KindOf.
func (e *Error) Unwrap() error { return e.Kind }

// kind says what a kind of error is elsewhere.
type kind struct {
	kind cnm.Kind
	// status is that of HTTP, as in 2017 where there was such a kind.
	status int
	// exit is the exit code of the command line.
	exit int
	// cni is the code of a CNI plugin's error; those from 100 on are its own.
	cni uint
}

// kinds is the one table of what kinds of error are elsewhere. Of several with one status,
// the first is what the status stands for.
func kinds() []kind {
	return []kind{
		{cnm.Invalid, http.StatusBadRequest, 2, 7},
		{cnm.NotFound, http.StatusNotFound, 3, 101},
		{cnm.Forbidden, http.StatusForbidden, 5, 103},
		{cnm.Exists, http.StatusForbidden, 4, 102},
		{cnm.Timeout, http.StatusRequestTimeout, 6, 11},
		{cnm.Unavailable, http.StatusServiceUnavailable, 7, 11},
		{cnm.Exhausted, http.StatusServiceUnavailable, 8, 104},
		{cnm.Conflict, http.StatusServiceUnavailable, 9, 11},
		{cnm.Unsupported, http.StatusNotImplemented, 10, 2},
		{cnm.Internal, http.StatusInternalServerError, 1, 100},
	}
}

// Status returns the HTTP status of a kind.
func Status(k cnm.Kind) int {
	for _, known := range kinds() {
		if known.kind == k {
			return known.status
		}
	}
	return http.StatusInternalServerError
}

// ExitCode returns the exit code of a kind: 1 for a defect or a kind unknown, 2 and above
// for what the caller can do something about.
func ExitCode(k cnm.Kind) int {
	for _, known := range kinds() {
		if known.kind == k {
			return known.exit
		}
	}
	return 1
}

// CNICode returns the code that a CNI plugin reports for a kind, as section "Error" of the
// specification lists them: 2 for what is not supported, 7 for an invalid configuration, 11
// for what may work later, and 100 and above for what it has no code for.
func CNICode(k cnm.Kind) uint {
	const other = 100
	for _, known := range kinds() {
		if known.kind == k {
			return known.cni
		}
	}
	return other
}

// KindOfStatus returns the kind that a status stands for, for servers that send no Error.
func KindOfStatus(status int) cnm.Kind {
	for _, known := range kinds() {
		if known.status == status {
			return known.kind
		}
	}
	if status >= http.StatusBadRequest && status < http.StatusInternalServerError {
		return cnm.Invalid
	}
	return cnm.Internal
}
