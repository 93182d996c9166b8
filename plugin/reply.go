package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// longestReply is far more than what any method answers, in bytes.
const longestReply = 1 << 20

// longestText bounds what of a plugin's own words gets into an error, in bytes.
const longestText = 512

// NotImplemented is the error for a method that the plugin does not have: it answers
// 404. The kind is Unsupported.
const NotImplemented = sentinel("the plugin has no such method")

type sentinel string

// Error implements error.
func (s sentinel) Error() string { return string(s) }

// Error is an error that the plugin answered with. Nothing happened, as the plugin says.
type Error struct {
	// Text is what the plugin says, shortened if it is long.
	Text string
	// Status is the status of the HTTP response: often 200 or 500.
	Status int
}

// Error implements error. The plugin's words are quoted.
func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("the plugin answers with status %d", e.Status)
	}
	return fmt.Sprintf("the plugin says %q", e.Text)
}

// kind is what the status says about the error; 200 and 500 say nothing.
func (e *Error) kind() cnm.Kind {
	switch e.Status {
	case http.StatusBadRequest:
		return cnm.Invalid
	case http.StatusForbidden:
		return cnm.Forbidden
	case http.StatusConflict:
		return cnm.Exists
	case http.StatusServiceUnavailable:
		return cnm.Unavailable
	case http.StatusNotImplemented:
		return cnm.Unsupported
	}
	return cnm.Internal
}

// broken is for a connection that broke when the request was on its way.
type broken struct{ error }

func (b broken) Unwrap() error { return b.error }

// unsettled is for a request that was on its way, without an answer that makes sense;
// settled is for one whose outcome is known.
type (
	unsettled struct{ error }
	settled   struct{ error }
)

func (u unsettled) Unwrap() error { return u.error }

func (s settled) Unwrap() error { return s.error }

// MayHaveHappened reports whether the plugin may have done what it was asked for in a
// call that failed with the error: the request was on its way, there was no answer to it
// that makes sense, and nobody has taken it back since.
func MayHaveHappened(err error) bool {
	var open unsettled
	return errors.As(err, &open) && !errors.As(err, new(unsent)) && !errors.As(err, new(settled))
}

// Unsettled marks an error such that MayHaveHappened is true of it: for a caller to whom
// the answer makes no sense. Nil stays nil.
func Unsettled(err error) error {
	if err == nil {
		return nil
	}
	return unsettled{err}
}

// Settled marks an error such that MayHaveHappened is false of it: for a caller who has
// taken back what may have happened. Nil stays nil.
func Settled(err error) error {
	if err == nil {
		return nil
	}
	return settled{err}
}

// garbage is for answers that the protocol does not know. The plugin has a defect.
func garbage(format string, values ...any) error {
	return Unsettled(cnm.E("", cnm.Internal, fmt.Errorf("the plugin does not keep to the protocol: "+format, values...)))
}

// failed is how plugins report an error: network drivers as Err, address managers as
// Error.
type failed struct{ Err, Error string }

func (f failed) text() string {
	if f.Err != "" {
		return f.Err
	}
	return f.Error
}

// decode fills reply from an answer.
func decode(status int, answer []byte, reply any) error {
	answer = bytes.TrimSpace(answer)
	if status == http.StatusNotFound {
		return cnm.E("", cnm.Unsupported, NotImplemented)
	}
	if status != http.StatusOK && status != http.StatusNoContent {
		var f failed
		if err := json.Unmarshal(answer, &f); err != nil || f.text() == "" {
			f.Err = string(answer) // it is no JSON: a web server may stand between
		}
		return answeredError(status, f.text())
	}
	if len(answer) == 0 || string(answer) == "null" {
		return nil
	}
	if answer[0] != '{' {
		return garbage("the answer is no JSON object: %.40q", answer)
	}
	var f failed
	if err := json.Unmarshal(answer, &f); err != nil {
		return garbage("the answer cannot be read: %w", err)
	}
	if f.text() != "" {
		return answeredError(status, f.text())
	}
	if reply == nil {
		return nil
	}
	if err := json.Unmarshal(answer, reply); err != nil {
		return garbage("the answer cannot be read: %w", err)
	}
	return nil
}

func answeredError(status int, text string) error {
	text = strings.ToValidUTF8(text, "?")
	if len(text) > longestText {
		text = strings.ToValidUTF8(text[:longestText], "") + "..."
	}
	e := &Error{Text: text, Status: status}
	return cnm.E("", e.kind(), e)
}
