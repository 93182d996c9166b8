package driverapi

import (
	"fmt"

	"github.com/docker/libnetwork/cnm"
)

// ErrNoNetwork is the error for a network that the driver does not know; its value
// is the network's id.
type ErrNoNetwork string

// Error implements error.
func (enn ErrNoNetwork) Error() string {
	return fmt.Sprintf("network %q: the driver knows no such network", string(enn))
}

// NotFound marks the error as a types.NotFoundError.
func (enn ErrNoNetwork) NotFound() {}

// Unwrap makes errors.Is(err, cnm.NotFound) true.
func (enn ErrNoNetwork) Unwrap() error { return cnm.NotFound }

// ErrEndpointExists is the error for a second endpoint of the same id, which is its
// value.
type ErrEndpointExists string

// Error implements error.
func (ee ErrEndpointExists) Error() string {
	return fmt.Sprintf("endpoint %q: the driver has one of this id already", string(ee))
}

// Forbidden marks the error as a types.ForbiddenError.
func (ee ErrEndpointExists) Forbidden() {}

// Unwrap makes errors.Is(err, cnm.Exists) and cnm.Forbidden true.
func (ee ErrEndpointExists) Unwrap() []error { return []error{cnm.Exists, cnm.Forbidden} }

// ErrNoEndpoint is the error for an endpoint that the driver does not know; its
// value is the endpoint's id.
type ErrNoEndpoint string

// Error implements error.
func (ene ErrNoEndpoint) Error() string {
	return fmt.Sprintf("endpoint %q: the driver knows no such endpoint", string(ene))
}

// NotFound marks the error as a types.NotFoundError.
func (ene ErrNoEndpoint) NotFound() {}

// Unwrap makes errors.Is(err, cnm.NotFound) true.
func (ene ErrNoEndpoint) Unwrap() error { return cnm.NotFound }

// ErrActiveRegistration is the error for a second driver of the same network type,
// which is its value.
type ErrActiveRegistration string

// Error implements error.
func (ar ErrActiveRegistration) Error() string {
	return fmt.Sprintf("register driver %q: there is one of this name already", string(ar))
}

// Forbidden marks the error as a types.ForbiddenError.
func (ar ErrActiveRegistration) Forbidden() {}

// Unwrap makes errors.Is(err, cnm.Exists) and cnm.Forbidden true.
func (ar ErrActiveRegistration) Unwrap() []error { return []error{cnm.Exists, cnm.Forbidden} }

// ErrNotImplemented is the error for what a driver cannot do. It is used by
// pointer.
type ErrNotImplemented struct{}

// Error implements error.
func (eni *ErrNotImplemented) Error() string { return "the driver cannot do that" }

// NotImplemented marks the error as a types.NotImplementedError.
func (eni *ErrNotImplemented) NotImplemented() {}

// Unwrap makes errors.Is(err, cnm.Unsupported) true.
func (eni *ErrNotImplemented) Unwrap() error { return cnm.Unsupported }
