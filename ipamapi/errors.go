package ipamapi

import (
	"errors"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

// Errors of address managers. Each bears the marker of package types that is named
// with it, and answers to errors.Is with a kind of package cnm. They are not to be
// changed.
var (
	// ErrIpamInternalError is a types.InternalError.
	ErrIpamInternalError = types.InternalErrorf("address management: a defect in the address manager")
	// ErrInvalidAddressSpace is a types.BadRequestError.
	ErrInvalidAddressSpace = types.BadRequestErrorf("address space: unknown to the address manager")
	// ErrInvalidPool is a types.BadRequestError.
	ErrInvalidPool = types.BadRequestErrorf("address pool: not a subnet in CIDR form")
	// ErrInvalidSubPool is a types.BadRequestError.
	ErrInvalidSubPool = types.BadRequestErrorf("address range: not in CIDR form, or not within the pool")
	// ErrInvalidRequest is a types.BadRequestError.
	ErrInvalidRequest = types.BadRequestErrorf("address request: malformed")
	// ErrPoolNotFound is a types.NotFoundError.
	ErrPoolNotFound = types.NotFoundErrorf("address pool: not found")
	// ErrOverlapPool is a types.ForbiddenError: the pool overlaps one of this space.
	ErrOverlapPool = types.ForbiddenErrorf("%w", exists("address pool: overlaps with one in the same address space"))
	// ErrNoAvailablePool is a types.NoServiceError.
	ErrNoAvailablePool = types.NoServiceErrorf("%w", exhausted("address pools: none left; name a subnet, or configure more pools"))
	// ErrNoAvailableIPs is a types.NoServiceError.
	ErrNoAvailableIPs = types.NoServiceErrorf("%w", exhausted("addresses: none left in the pool"))
	// ErrNoIPReturned is a types.NoServiceError.
	ErrNoIPReturned = types.NoServiceErrorf("address management: the answer holds no address")
	// ErrIPAlreadyAllocated is a types.ForbiddenError.
	ErrIPAlreadyAllocated = types.ForbiddenErrorf("%w", exists("address: in use"))
	// ErrIPOutOfRange is a types.BadRequestError.
	ErrIPOutOfRange = types.BadRequestErrorf("address: not within the pool")
	// ErrPoolOverlap is a types.ForbiddenError: the pool overlaps another network's.
	ErrPoolOverlap = types.ForbiddenErrorf("%w", exists("address pool: overlaps with another"))
	// ErrBadPool is a types.BadRequestError.
	ErrBadPool = types.BadRequestErrorf("address pool: an address range needs a pool to be in")
)

func exists(text string) error { return cnm.E("", cnm.Exists, errors.New(text)) }

func exhausted(text string) error { return cnm.E("", cnm.Exhausted, errors.New(text)) }
