package etcd

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/remotestore"
)

// wrap classifies what the client returns. Unavailable means that another try may do.
func (s *Store) wrap(err error) error {
	var known *cnm.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, remotestore.ErrClosed):
		return cnm.E(s.name, cnm.Unavailable, err)
	case errors.Is(err, rpctypes.ErrCompacted):
		return cnm.E(s.name, cnm.Conflict, errForgotten)
	case errors.Is(err, rpctypes.ErrRequestTooLarge), errors.Is(err, rpctypes.ErrTooManyOps):
		return cnm.E(s.name, cnm.Exhausted, fmt.Errorf("%w: one transaction writes more than the servers allow", err))
	case errors.Is(err, rpctypes.ErrNoSpace):
		return cnm.E(s.name, cnm.Exhausted, fmt.Errorf("%w: the servers take no writes; compact and defragment them", err))
	case errors.Is(err, rpctypes.ErrAuthFailed), errors.Is(err, rpctypes.ErrPermissionDenied), errors.Is(err, rpctypes.ErrUserEmpty),
		errors.Is(err, rpctypes.ErrAuthNotEnabled):
		return cnm.E(s.name, cnm.Forbidden, fmt.Errorf("%w; check the user name, the password and the user's roles", err))
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return cnm.E(s.name, cnm.Unavailable, errors.New("no answer; check that its servers run and can be reached"))
	}
	return s.byCode(err)
}

func (s *Store) byCode(err error) error {
	switch code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled, codes.Aborted:
		return cnm.E(s.name, cnm.Unavailable, fmt.Errorf("%s; check that its servers run and can be reached", status.Convert(err).Message()))
	case codes.ResourceExhausted:
		return cnm.E(s.name, cnm.Exhausted, err)
	case codes.Unauthenticated:
		// The token that the password was changed for is forgotten when a server starts;
		// the client asks for another.
		return cnm.E(s.name, cnm.Unavailable, err)
	case codes.PermissionDenied:
		return cnm.E(s.name, cnm.Forbidden, err)
	case codes.InvalidArgument, codes.Unimplemented, codes.FailedPrecondition:
		return cnm.E(s.name, cnm.Internal, err)
	}
	if strings.Contains(err.Error(), "no available endpoints") {
		return cnm.E(s.name, cnm.Unavailable, err)
	}
	return cnm.E(s.name, cnm.Internal, err)
}

func code(err error) codes.Code {
	var typed rpctypes.EtcdError
	if errors.As(err, &typed) {
		return typed.Code()
	}
	return status.Code(err)
}
