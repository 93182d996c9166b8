package libnetwork

import (
	"errors"
	"fmt"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// published gives err the marker method of its kind, as callers of 2017 expect,
// and keeps it answering to errors.Is. It is the last thing a public method does.
func published(err error) error {
	switch {
	case err == nil:
		return nil
	case marked(err):
		return err
	}
	switch cnm.KindOf(err) {
	case cnm.Invalid:
		return types.BadRequestErrorf("%w", err)
	case cnm.NotFound:
		return types.NotFoundErrorf("%w", err)
	case cnm.Exists, cnm.Forbidden:
		return types.ForbiddenErrorf("%w", err)
	case cnm.Exhausted, cnm.Unavailable:
		return types.NoServiceErrorf("%w", err)
	case cnm.Timeout:
		return types.TimeoutErrorf("%w", err)
	case cnm.Conflict:
		return types.RetryErrorf("%w", err)
	case cnm.Unsupported:
		return types.NotImplementedErrorf("%w", err)
	default:
		return types.InternalErrorf("%w", err)
	}
}

// marked reports whether err itself, not a cause, bears a marker.
func marked(err error) bool {
	switch err.(type) { //nolint:errorlint // the marker must be on the outermost error
	case types.BadRequestError, types.NotFoundError, types.ForbiddenError, types.NoServiceError,
		types.TimeoutError, types.RetryError, types.NotImplementedError, types.InternalError:
		return true
	}
	return false
}

// isKind implements the Is method of the error types below.
func isKind(target error, kind cnm.Kind) bool {
	wanted, ok := target.(cnm.Kind) //nolint:errorlint // a target is given as it is
	return ok && wanted == kind
}

// joinErrors is errors.Join that keeps the kind of the first error.
func joinErrors(op string, errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return cnm.E(op, cnm.KindOf(errs[0]), errors.Join(errs...))
}

// ErrNoSuchNetwork is the error for a network that is not there; its value is the
// name or id that was asked for.
type ErrNoSuchNetwork string

// Error implements error.
func (nsn ErrNoSuchNetwork) Error() string { return fmt.Sprintf("network %q: not found", string(nsn)) }

// NotFound marks the error as one of types.NotFoundError.
func (nsn ErrNoSuchNetwork) NotFound() {}

// Is makes errors.Is(err, cnm.NotFound) true.
func (nsn ErrNoSuchNetwork) Is(target error) bool { return isKind(target, cnm.NotFound) }

// ErrNoSuchEndpoint is the error for an endpoint that is not there; its value is
// the name or id that was asked for.
type ErrNoSuchEndpoint string

// Error implements error.
func (nse ErrNoSuchEndpoint) Error() string {
	return fmt.Sprintf("endpoint %q: not found", string(nse))
}

// NotFound marks the error as one of types.NotFoundError.
func (nse ErrNoSuchEndpoint) NotFound() {}

// Is makes errors.Is(err, cnm.NotFound) true.
func (nse ErrNoSuchEndpoint) Is(target error) bool { return isKind(target, cnm.NotFound) }

// ErrInvalidNetworkDriver is the error for a network type that is no name.
type ErrInvalidNetworkDriver string

// Error implements error.
func (ind ErrInvalidNetworkDriver) Error() string {
	return fmt.Sprintf("network type %q: not a name; name a driver such as \"bridge\"", string(ind))
}

// BadRequest marks the error as one of types.BadRequestError.
func (ind ErrInvalidNetworkDriver) BadRequest() {}

// Is makes errors.Is(err, cnm.Invalid) true.
func (ind ErrInvalidNetworkDriver) Is(target error) bool { return isKind(target, cnm.Invalid) }

// ErrInvalidJoin is the error for a join without a sandbox.
type ErrInvalidJoin struct{}

// Error implements error.
func (ij ErrInvalidJoin) Error() string { return "join: no sandbox given, or not one of ours" }

// BadRequest marks the error as one of types.BadRequestError.
func (ij ErrInvalidJoin) BadRequest() {}

// Is makes errors.Is(err, cnm.Invalid) true.
func (ij ErrInvalidJoin) Is(target error) bool { return isKind(target, cnm.Invalid) }

// ErrNoContainer is the error for an endpoint that is in no sandbox.
type ErrNoContainer struct{}

// Error implements error.
func (nc ErrNoContainer) Error() string { return "endpoint: in no sandbox" }

// Maskable marks the error as one of types.MaskableError.
func (nc ErrNoContainer) Maskable() {}

// Is makes errors.Is(err, cnm.NotFound) true.
func (nc ErrNoContainer) Is(target error) bool { return isKind(target, cnm.NotFound) }

// ErrInvalidID is the error for an id that cannot be one.
type ErrInvalidID string

// Error implements error.
func (ii ErrInvalidID) Error() string {
	return fmt.Sprintf("id %q: must not be empty or longer than 255 characters, and may hold letters, digits, '.', '_' and '-' only", string(ii))
}

// BadRequest marks the error as one of types.BadRequestError.
func (ii ErrInvalidID) BadRequest() {}

// Is makes errors.Is(err, cnm.Invalid) true.
func (ii ErrInvalidID) Is(target error) bool { return isKind(target, cnm.Invalid) }

// ErrInvalidName is the error for a name that cannot be one.
type ErrInvalidName string

// Error implements error.
func (in ErrInvalidName) Error() string {
	return fmt.Sprintf("name %q: must not be empty or blank, or hold control characters", string(in))
}

// BadRequest marks the error as one of types.BadRequestError.
func (in ErrInvalidName) BadRequest() {}

// Is makes errors.Is(err, cnm.Invalid) true.
func (in ErrInvalidName) Is(target error) bool { return isKind(target, cnm.Invalid) }

// InvalidContainerIDError is the error for a container id that cannot be one.
type InvalidContainerIDError string

// Error implements error.
func (id InvalidContainerIDError) Error() string {
	return fmt.Sprintf("container id %q: must not be empty or blank", string(id))
}

// BadRequest marks the error as one of types.BadRequestError.
func (id InvalidContainerIDError) BadRequest() {}

// Is makes errors.Is(err, cnm.Invalid) true.
func (id InvalidContainerIDError) Is(target error) bool { return isKind(target, cnm.Invalid) }

// ErrInvalidConfigFile is the error for a configuration file that cannot be read.
type ErrInvalidConfigFile string

// Error implements error.
func (cf ErrInvalidConfigFile) Error() string {
	return fmt.Sprintf("configuration file %q: cannot be read", string(cf))
}

// NetworkTypeError is the error for a network type that no driver provides.
type NetworkTypeError string

// Error implements error.
func (nt NetworkTypeError) Error() string {
	return fmt.Sprintf("network type %q: no such driver", string(nt))
}

// NotFound marks the error as one of types.NotFoundError.
func (nt NetworkTypeError) NotFound() {}

// Is makes errors.Is(err, cnm.NotFound) true.
func (nt NetworkTypeError) Is(target error) bool { return isKind(target, cnm.NotFound) }

// NetworkNameError is the error for a network name in use.
type NetworkNameError string

// Error implements error.
func (nnr NetworkNameError) Error() string {
	return fmt.Sprintf("network %q: the name is in use; choose another or delete that network", string(nnr))
}

// Forbidden marks the error as one of types.ForbiddenError.
func (nnr NetworkNameError) Forbidden() {}

// Is makes errors.Is(err, cnm.Exists) and cnm.Forbidden true.
func (nnr NetworkNameError) Is(target error) bool {
	return isKind(target, cnm.Exists) || isKind(target, cnm.Forbidden)
}

// ManagerRedirectError is the error for a request that only a cluster's manager can
// fulfil.
type ManagerRedirectError string

// Error implements error.
func (mr ManagerRedirectError) Error() string {
	return fmt.Sprintf("network %q: ask a manager of the cluster", string(mr))
}

// Maskable marks the error as one of types.MaskableError.
func (mr ManagerRedirectError) Maskable() {}

// UnknownNetworkError is the error for a network handle that outlived its network.
type UnknownNetworkError struct{ name, id string }

// Error implements error.
func (une *UnknownNetworkError) Error() string {
	return fmt.Sprintf("network %q (%s): does not exist any more", une.name, une.id)
}

// NotFound marks the error as one of types.NotFoundError.
func (une *UnknownNetworkError) NotFound() {}

// Is makes errors.Is(err, cnm.NotFound) true.
func (une *UnknownNetworkError) Is(target error) bool { return isKind(target, cnm.NotFound) }

// UnknownEndpointError is the error for an endpoint handle that outlived its
// endpoint.
type UnknownEndpointError struct{ name, id string }

// Error implements error.
func (uee *UnknownEndpointError) Error() string {
	return fmt.Sprintf("endpoint %q (%s): does not exist any more", uee.name, uee.id)
}

// NotFound marks the error as one of types.NotFoundError.
func (uee *UnknownEndpointError) NotFound() {}

// Is makes errors.Is(err, cnm.NotFound) true.
func (uee *UnknownEndpointError) Is(target error) bool { return isKind(target, cnm.NotFound) }

// ActiveEndpointsError is the error for deleting a network that has endpoints.
type ActiveEndpointsError struct {
	name, id  string
	endpoints []string
}

// Error implements error.
func (aee *ActiveEndpointsError) Error() string {
	return fmt.Sprintf("delete network %q (%s): has endpoints %q; delete them first", aee.name, aee.id, aee.endpoints)
}

// Forbidden marks the error as one of types.ForbiddenError.
func (aee *ActiveEndpointsError) Forbidden() {}

// Is makes errors.Is(err, cnm.Forbidden) true.
func (aee *ActiveEndpointsError) Is(target error) bool { return isKind(target, cnm.Forbidden) }

// ActiveContainerError is the error for deleting an endpoint that is in a sandbox.
type ActiveContainerError struct{ name, id, containerID string }

// Error implements error.
func (ace *ActiveContainerError) Error() string {
	return fmt.Sprintf("delete endpoint %q (%s): is in the sandbox of container %q; leave it first, or force",
		ace.name, ace.id, ace.containerID)
}

// Forbidden marks the error as one of types.ForbiddenError.
func (ace *ActiveContainerError) Forbidden() {}

// Is makes errors.Is(err, cnm.Forbidden) true.
func (ace *ActiveContainerError) Is(target error) bool { return isKind(target, cnm.Forbidden) }

// operationError names the operation, unless err is one of the types above, which
// callers look for as they are.
func operationError(op string, err error) error {
	if err == nil || marked(err) {
		return err
	}
	return published(cnm.Wrap(op, err))
}
