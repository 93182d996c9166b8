package firewalld

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
)

// call calls a method of firewalld and stores what it answers. It never makes the bus
// start firewalld: whether it runs is the operator's choice.
func (c *Client) call(ctx context.Context, limit time.Duration, path dbus.ObjectPath, method string, answer any, args ...any) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	call := c.conn.Object(service, path).CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
	if call.Err != nil || answer == nil {
		return call.Err
	}
	return call.Store(answer)
}

// explain gives the error of a call its kind, and says what can be done about it.
func (c *Client) explain(what string, err error) error {
	if err == nil {
		return nil
	}
	kind, hint := c.classify(err)
	err = shorten(err)
	if hint == "" {
		return cnm.E("", kind, fmt.Errorf("%s: %w", what, err))
	}
	return cnm.E("", kind, fmt.Errorf("%s: %w (%s)", what, err, hint))
}

func (c *Client) classify(err error) (kind cnm.Kind, hint string) {
	var answer dbus.Error
	switch {
	case errors.Is(err, context.Canceled) && c.closing.Err() == nil:
		return cnm.Timeout, ""
	case errors.Is(err, context.DeadlineExceeded):
		return cnm.Timeout, `firewalld does not answer: see "journalctl -u firewalld", and restart it or stop it`
	case !errors.As(err, &answer):
		return cnm.Unavailable, `the connection to the bus broke: see "systemctl status dbus firewalld"`
	}
	switch answer.Name {
	case errorFirewalld:
		return classifyCode(code(err))
	case errorNotAuthorized, errorAccess:
		return cnm.Forbidden, "this needs root, or a rule of polkit for " + service + ".config"
	case errorMethod, errorInterface, errorUnknownPath:
		return cnm.Unsupported, "this needs firewalld 0.9 or later: update it, or stop it"
	}
	return cnm.Unavailable, `see "journalctl -u firewalld"`
}

func classifyCode(code string) (kind cnm.Kind, hint string) {
	switch {
	case code == codePanicMode:
		return cnm.Unavailable, `end the panic mode with "firewall-cmd --panic-off"`
	case code == codeCommandFailed:
		// After it was killed, firewalld starts on top of the rules it had, and then cannot
		// delete some (seen with 1.3.3). One that ends in order takes its rules away.
		return cnm.Unavailable, `"systemctl restart firewalld" makes it build its rules anew`
	case code == codeAccessDenied, code == codeNotAuthorized:
		return cnm.Forbidden, `firewalld is locked down: "firewall-cmd --lockdown-off", or put this program on the allow list, then "firewall-cmd --reload"`
	case strings.HasPrefix(code, "INVALID_"):
		return cnm.Invalid, ""
	}
	return cnm.Unavailable, `see "journalctl -u firewalld"`
}

// shorten keeps the first line of an answer of firewalld: after it may come all the
// rules that it tried, which are in its log.
func shorten(err error) error {
	var answer dbus.Error
	if !errors.As(err, &answer) || len(answer.Body) == 0 {
		return err
	}
	text, _ := answer.Body[0].(string)
	line, _, more := strings.Cut(text, "\n")
	if !more {
		return err
	}
	return dbus.Error{Name: answer.Name, Body: []any{line}}
}

// code returns that of an error of firewalld; for any other error it is empty.
func code(err error) string {
	var answer dbus.Error
	if !errors.As(err, &answer) || answer.Name != errorFirewalld || len(answer.Body) == 0 {
		return ""
	}
	text, _ := answer.Body[0].(string)
	code, _, _ := strings.Cut(text, ":")
	return code
}

// temporary tells whether the same may succeed later without anybody doing anything.
func temporary(err error) bool {
	return errors.Is(err, cnm.Timeout) || errors.Is(err, cnm.Unavailable)
}
