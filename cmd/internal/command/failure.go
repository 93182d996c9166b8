package command

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// exitCode ends the program with a code, without a word: what there is to say has been
// said, by a program that was run or as a command's answer.
type exitCode int

// Error implements error.
func (exitCode) Error() string { return "the program ended with an error" }

// advised is an error that says what to do.
type advised struct {
	err    error
	advice string
}

// advise adds what to do to an error; nil stays nil.
func advise(err error, advice string) error {
	if err == nil {
		return nil
	}
	return &advised{err, advice}
}

// Error returns the error without the advice.
func (a *advised) Error() string { return a.err.Error() }

// Unwrap returns the error without the advice.
func (a *advised) Unwrap() error { return a.err }

// end tells of an error and returns the exit code.
func (a *app) end(ran *cobra.Command, err error) int {
	if err == nil {
		return 0
	}
	var code exitCode
	if errors.As(err, &code) {
		return int(code)
	}
	message := strings.Join(strings.Fields(strings.ReplaceAll(err.Error(), "\n", "; ")), " ")
	a.notef("dnet: %s\n", message)
	if advice := adviceFor(ran, err); advice != "" {
		a.notef("  %s\n", advice)
	}
	return api.ExitCode(cnm.KindOf(err))
}

// adviceFor returns what to do about an error: what it says itself, or else what its kind
// has in common.
func adviceFor(ran *cobra.Command, err error) string {
	var advice *advised
	if errors.As(err, &advice) {
		return advice.advice
	}
	var report *api.Error
	if errors.As(err, &report) && report.Detail != "" {
		return report.Detail
	}
	switch kind := cnm.KindOf(err); {
	case kind == cnm.Invalid && report == nil && ran != nil:
		return "see how it is used: " + ran.CommandPath() + " --help"
	case kind == cnm.NotFound:
		return "see what there is: dnet network ls, dnet endpoint ls, dnet sandbox ls"
	case kind == cnm.Exists:
		return "choose another one, or remove what is there"
	case kind == cnm.Conflict:
		return "somebody else changed it at the same time: try again"
	case kind == cnm.Timeout:
		return "the daemon's log may say what it waits for"
	case kind == cnm.Internal && report != nil:
		return "this should not happen; dnet doctor may find the cause, and dnet dump collects what a report of it needs"
	}
	return ""
}
