package driverapi_test

import (
	"encoding/json"
	"errors"
	"net"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/driverapi"
	"github.com/docker/libnetwork/types"
)

func cidr(t testing.TB, text string) *net.IPNet {
	t.Helper()
	if text == "" {
		return nil
	}
	out, err := types.ParseCIDR(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func data(t testing.TB, pool, gateway, aux string) *driverapi.IPAMData {
	t.Helper()
	out := &driverapi.IPAMData{AddressSpace: "LocalDefault", Pool: cidr(t, pool), Gateway: cidr(t, gateway)}
	if aux != "" {
		out.AuxAddresses = map[string]*net.IPNet{"router": cidr(t, aux)}
	}
	return out
}

func TestIPAMDataJSON(t *testing.T) {
	for _, test := range []struct {
		data *driverapi.IPAMData
		json string
	}{
		{&driverapi.IPAMData{}, `{"AddressSpace":""}`},
		{data(t, "10.30.0.0/24", "10.30.0.1/24", ""), `{"AddressSpace":"LocalDefault","Pool":"10.30.0.0/24","Gateway":"10.30.0.1/24"}`},
		{
			data(t, "2001:db8::/64", "2001:db8::1/64", "2001:db8::2/64"),
			`{"AddressSpace":"LocalDefault","Pool":"2001:db8::/64","Gateway":"2001:db8::1/64","AuxAddresses":{"router":"2001:db8::2/64"}}`,
		},
	} {
		got, err := json.Marshal(test.data)
		if err != nil || string(got) != test.json {
			t.Errorf("got %s, %v, want %s", got, err, test.json)
		}
		var back driverapi.IPAMData
		if err := json.Unmarshal([]byte(test.json), &back); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(test.data, &back); diff != "" {
			t.Error(diff)
		}
	}
}

func TestIPAMDataJSONRefuses(t *testing.T) {
	for _, text := range []string{
		`{"Pool":"10.0.0.0"}`, `{"Gateway":"x"}`, `{"AuxAddresses":{"a":"10.0.0.1"}}`,
	} {
		got := driverapi.IPAMData{AddressSpace: "kept"}
		err := json.Unmarshal([]byte(text), &got)
		if bad := types.BadRequestError(nil); !errors.As(err, &bad) {
			t.Errorf("%s: got %v", text, err)
		}
		if diff := cmp.Diff(driverapi.IPAMData{AddressSpace: "kept"}, got); diff != "" {
			t.Errorf("%s: refused, but changed: %s", text, diff)
		}
	}
	if err := json.Unmarshal([]byte(`{"Pool":5}`), new(driverapi.IPAMData)); err == nil {
		t.Error("accepted a number")
	}
	bad := &net.IPNet{IP: net.IP{10, 0, 0, 0}, Mask: net.CIDRMask(64, 128)}
	bad.Mask[0] = 0
	for _, in := range []*driverapi.IPAMData{{Pool: bad}, {Gateway: bad}, {AuxAddresses: map[string]*net.IPNet{"a": bad}}} {
		if got, err := json.Marshal(in); err == nil {
			t.Errorf("got %s, want an error", got)
		}
	}
}

func FuzzIPAMDataUnmarshal(f *testing.F) {
	for _, seed := range []string{
		`{"AddressSpace":"LocalDefault","Pool":"10.30.0.0/24","Gateway":"10.30.0.1/24","AuxAddresses":{"a":"10.30.0.2/24"}}`,
		`{"Pool":"::ffff:10.0.0.0/104"}`, `{"AuxAddresses":{"a":""}}`, `{}`, `null`, `5`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var got, again driverapi.IPAMData
		if json.Unmarshal(text, &got) != nil {
			return
		}
		out, err := json.Marshal(&got)
		if err != nil {
			t.Fatalf("%s: read, but %v", text, err)
		}
		if err := json.Unmarshal(out, &again); err != nil {
			t.Fatalf("%s gives %s: %v", text, out, err)
		}
		if diff := cmp.Diff(got, again); diff != "" {
			t.Fatalf("%s gives %s: %s", text, out, diff)
		}
	})
}

func TestIPAMDataValidate(t *testing.T) {
	for _, test := range []struct {
		data *driverapi.IPAMData
		want string // empty means valid
	}{
		{data(t, "10.30.0.0/24", "10.30.0.1/24", "10.30.0.2/24"), ""},
		{data(t, "10.30.0.0/24", "", ""), ""},
		{data(t, "2001:db8::/64", "2001:db8::1/64", ""), ""},
		{nil, "has no pool"},
		{data(t, "", "10.30.0.1/24", ""), "has no pool"},
		{data(t, "10.30.0.0/24", "10.31.0.1/24", ""), `gateway "10.31.0.1/24": is not in the pool "10.30.0.0/24"`},
		{data(t, "10.30.0.0/24", "2001:db8::1/64", ""), `gateway "2001:db8::1/64": is not in the pool`},
		{data(t, "2001:db8::/64", "10.30.0.1/24", ""), `gateway "10.30.0.1/24": is not in the pool`},
		{data(t, "10.30.0.0/24", "", "10.31.0.1/24"), `auxiliary address "router": "10.31.0.1/24" is not in the pool`},
		{&driverapi.IPAMData{Pool: cidr(t, "10.0.0.0/8"), AuxAddresses: map[string]*net.IPNet{"a": nil}}, `auxiliary address "a": "<nil>" is not`},
		{&driverapi.IPAMData{Pool: &net.IPNet{}}, "is not a subnet"},
		{&driverapi.IPAMData{Pool: cidr(t, "10.0.0.0/8"), Gateway: &net.IPNet{IP: net.IP{10, 0, 0, 1}}}, "is not in the pool"},
	} {
		err := test.data.Validate()
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: %v", test.data, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %s", test.data, err, test.want)
		}
		if _, ok := err.(types.BadRequestError); !ok {
			t.Errorf("%s: %T is not a bad request", test.data, err)
		}
	}
}

func TestIPAMDataFamilyAndString(t *testing.T) {
	for _, test := range []struct {
		data *driverapi.IPAMData
		v6   bool
		text string
	}{
		{nil, false, "<nil>"},
		{&driverapi.IPAMData{}, false, `space "", pool <nil>, gateway <nil>, auxiliary map[]`},
		{data(t, "10.30.0.0/24", "10.30.0.1/24", ""), false, `space "LocalDefault", pool 10.30.0.0/24, gateway 10.30.0.1/24, auxiliary map[]`},
		{data(t, "2001:db8::/64", "", "2001:db8::2/64"), true, `space "LocalDefault", pool 2001:db8::/64, gateway <nil>, auxiliary map[router:2001:db8::2/64]`},
	} {
		if got := test.data.IsV6(); got != test.v6 {
			t.Errorf("%s: IsV6 is %t", test.data, got)
		}
		if got := test.data.String(); got != test.text {
			t.Errorf("got  %s\nwant %s", got, test.text)
		}
	}
}

func TestIsValidType(t *testing.T) {
	for objType, want := range map[driverapi.ObjectType]bool{
		0: false, driverapi.EndpointObject: true, driverapi.NetworkObject: true, driverapi.OpaqueObject: true, 4: false, -1: false,
	} {
		if got := driverapi.IsValidType(objType); got != want {
			t.Errorf("%d: got %t", objType, got)
		}
	}
	if driverapi.Create != 1 || driverapi.Update != 2 || driverapi.Delete != 3 || driverapi.OpaqueObject != 3 {
		t.Error("the numbers changed")
	}
}

func TestErrors(t *testing.T) {
	for _, test := range []struct {
		err   error
		text  string
		kinds []cnm.Kind
	}{
		{driverapi.ErrNoNetwork("n"), `network "n": the driver knows no such network`, []cnm.Kind{cnm.NotFound}},
		{driverapi.ErrNoEndpoint("e"), `endpoint "e": the driver knows no such endpoint`, []cnm.Kind{cnm.NotFound}},
		{driverapi.ErrEndpointExists("e"), `endpoint "e": the driver has one of this id already`, []cnm.Kind{cnm.Exists, cnm.Forbidden}},
		{driverapi.ErrActiveRegistration("d"), `register driver "d": there is one of this name already`, []cnm.Kind{cnm.Exists, cnm.Forbidden}},
		{&driverapi.ErrNotImplemented{}, `the driver cannot do that`, []cnm.Kind{cnm.Unsupported}},
	} {
		if test.err.Error() != test.text {
			t.Errorf("got  %s\nwant %s", test.err, test.text)
		}
		for _, kind := range test.kinds {
			if !errors.Is(test.err, kind) {
				t.Errorf("%s: is not %q", test.err, kind)
			}
		}
		if errors.Is(test.err, cnm.Invalid) || cnm.KindOf(test.err) != test.kinds[0] {
			t.Errorf("%s: kind %q", test.err, cnm.KindOf(test.err))
		}
		_, notFound := test.err.(types.NotFoundError)
		_, forbidden := test.err.(types.ForbiddenError)
		_, notImplemented := test.err.(types.NotImplementedError)
		got := []bool{notFound, forbidden, notImplemented}
		want := []bool{test.kinds[0] == cnm.NotFound, test.kinds[0] == cnm.Exists, test.kinds[0] == cnm.Unsupported}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: markers: %s", test.err, diff)
		}
	}
}
