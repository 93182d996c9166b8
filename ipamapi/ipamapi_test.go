package ipamapi_test

import (
	"errors"
	"reflect"
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/ipamapi"
	"github.com/docker/libnetwork/types"
)

func TestErrors(t *testing.T) {
	var (
		badRequest = reflect.TypeFor[types.BadRequestError]()
		notFound   = reflect.TypeFor[types.NotFoundError]()
		forbidden  = reflect.TypeFor[types.ForbiddenError]()
		noService  = reflect.TypeFor[types.NoServiceError]()
		internal   = reflect.TypeFor[types.InternalError]()
	)
	tests := []struct {
		err    error
		marker reflect.Type
		kind   cnm.Kind
	}{
		{ipamapi.ErrIpamInternalError, internal, cnm.Internal},
		{ipamapi.ErrInvalidAddressSpace, badRequest, cnm.Invalid},
		{ipamapi.ErrInvalidPool, badRequest, cnm.Invalid},
		{ipamapi.ErrInvalidSubPool, badRequest, cnm.Invalid},
		{ipamapi.ErrInvalidRequest, badRequest, cnm.Invalid},
		{ipamapi.ErrPoolNotFound, notFound, cnm.NotFound},
		{ipamapi.ErrOverlapPool, forbidden, cnm.Exists},
		{ipamapi.ErrNoAvailablePool, noService, cnm.Exhausted},
		{ipamapi.ErrNoAvailableIPs, noService, cnm.Exhausted},
		{ipamapi.ErrNoIPReturned, noService, cnm.Unavailable},
		{ipamapi.ErrIPAlreadyAllocated, forbidden, cnm.Exists},
		{ipamapi.ErrIPOutOfRange, badRequest, cnm.Invalid},
		{ipamapi.ErrPoolOverlap, forbidden, cnm.Exists},
		{ipamapi.ErrBadPool, badRequest, cnm.Invalid},
	}
	for i, test := range tests {
		for _, marker := range []reflect.Type{badRequest, notFound, forbidden, noService, internal} {
			if got := reflect.TypeOf(test.err).Implements(marker); got != (marker == test.marker) {
				t.Errorf("%v: %s: got %t", test.err, marker, got)
			}
		}
		if !errors.Is(test.err, test.kind) || cnm.KindOf(test.err) != test.kind {
			t.Errorf("%v: kind %q, want %q", test.err, cnm.KindOf(test.err), test.kind)
		}
		for _, other := range tests[:i] {
			if errors.Is(test.err, other.err) || test.err.Error() == other.err.Error() {
				t.Errorf("%v and %v cannot be told apart", test.err, other.err)
			}
		}
	}
}

func TestNamesOfTheWire(t *testing.T) {
	for got, want := range map[string]string{
		ipamapi.DefaultIPAM: "default", ipamapi.NullIPAM: "null",
		ipamapi.PluginEndpointType: "IpamDriver", ipamapi.RequestAddressType: "RequestAddressType",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
