//go:build !linux

package survey

import (
	"context"
	"errors"

	"github.com/docker/libnetwork/cnm"
)

var errUnsupported = cnm.E("look at the machine", cnm.Unsupported, errors.New("this system has no network namespaces; run on Linux"))

// Take returns Unsupported.
func Take(context.Context, Options) (*Report, error) { return nil, errUnsupported }

// Look returns Unsupported.
func Look(context.Context, string) (Space, error) { return Space{}, errUnsupported }

// Run returns Unsupported.
func Run(context.Context, string, string, ...string) ([]byte, error) { return nil, errUnsupported }

// Sockets returns Unsupported.
func Sockets(context.Context, string) ([]Port, error) { return nil, errUnsupported }

// Rules returns Unsupported.
func Rules(context.Context, string) (string, error) { return "", errUnsupported }
