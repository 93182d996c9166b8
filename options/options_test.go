package options_test

import (
	"errors"
	"fmt"
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/options"
)

type base struct{ Inherited int }

type hidden struct{ Deep int }

type model struct {
	Name    string
	Count   int
	IP      net.IP
	Any     interface{}
	Writer  fmt.Stringer
	Pointer *int
	Map     map[string]string
	secret  int //nolint:unused // only reflection sees it
	base
	*hidden
}

func TestGenerateFromModel(t *testing.T) {
	number := 7
	given := options.Generic{
		"Name": "web", "Count": 3, "IP": net.IP{10, 0, 0, 1}, "Any": 1.5, "Writer": net.IPv4zero,
		"Pointer": &number, "Map": map[string]string{"a": "b"}, "Inherited": 9,
	}
	want := model{
		Name: "web", Count: 3, IP: net.IP{10, 0, 0, 1}, Any: 1.5, Writer: net.IPv4zero,
		Pointer: &number, Map: map[string]string{"a": "b"}, base: base{Inherited: 9},
	}
	original := &model{Count: 99}
	for name, test := range map[string]struct{ from, want interface{} }{
		"struct":      {model{Count: 99}, want},
		"pointer":     {original, &want},
		"nil pointer": {(*model)(nil), &want},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := options.GenerateFromModel(given, test.from)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(model{}, base{})); diff != "" {
				t.Error(diff)
			}
		})
	}
	if original.Count != 99 || original.Name != "" {
		t.Errorf("the model itself was changed: %+v", original)
	}
}

func TestGenerateFromModelNothing(t *testing.T) {
	for _, given := range []options.Generic{nil, options.NewGeneric(), {"Pointer": nil, "Any": nil, "Map": nil, "IP": nil, "Writer": nil}} {
		got, err := options.GenerateFromModel(given, model{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(model{}, got, cmp.AllowUnexported(model{}, base{})); diff != "" {
			t.Error(diff)
		}
	}
}

func TestGenerateFromModelErrors(t *testing.T) {
	const owner = "options_test.model"
	tests := []struct {
		name  string
		given options.Generic
		model interface{}
		want  error
		text  string
	}{
		{
			"no field", options.Generic{"Nmae": "x"}, model{},
			options.NoSuchFieldError{Field: "Nmae", Type: owner},
			`option "Nmae": type "options_test.model" has no such field`,
		},
		{
			"other case", options.Generic{"name": "x"}, &model{},
			options.NoSuchFieldError{Field: "name", Type: owner},
			`option "name": type "options_test.model" has no such field`,
		},
		{
			"not exported", options.Generic{"secret": 1}, model{},
			options.CannotSetFieldError{Field: "secret", Type: owner},
			`option "secret": the field of type "options_test.model" cannot be set from outside`,
		},
		{
			"in a nil pointer", options.Generic{"Deep": 1}, model{},
			options.CannotSetFieldError{Field: "Deep", Type: owner},
			`option "Deep": the field of type "options_test.model" cannot be set from outside`,
		},
		{
			"wrong type", options.Generic{"Count": "3"}, model{},
			options.TypeMismatchError{Field: "Count", ExpectType: "int", ActualType: "string"},
			`option "Count": is of type "string", must be "int"`,
		},
		{
			"convertible only", options.Generic{"Count": int64(3)}, model{},
			options.TypeMismatchError{Field: "Count", ExpectType: "int", ActualType: "int64"},
			`option "Count": is of type "int64", must be "int"`,
		},
		{
			"nil for a number", options.Generic{"Count": nil}, model{},
			options.TypeMismatchError{Field: "Count", ExpectType: "int", ActualType: "nil"},
			`option "Count": is of type "nil", must be "int"`,
		},
		{
			"method missing", options.Generic{"Writer": 1}, model{},
			options.TypeMismatchError{Field: "Writer", ExpectType: "fmt.Stringer", ActualType: "int"},
			`option "Writer": is of type "int", must be "fmt.Stringer"`,
		},
		{
			"first by name", options.Generic{"Z": 1, "A": 1, "M": 1}, model{},
			options.NoSuchFieldError{Field: "A", Type: owner},
			`option "A": type "options_test.model" has no such field`,
		},
		{
			"nil model", nil, nil,
			options.TypeMismatchError{ExpectType: "struct", ActualType: "nil"},
			`option model: is "nil", must be a struct or a pointer to one`,
		},
		{
			"model is a number", nil, 5,
			options.TypeMismatchError{ExpectType: "struct", ActualType: "int"},
			`option model: is "int", must be a struct or a pointer to one`,
		},
		{
			"pointer to pointer", nil, new(*model),
			options.TypeMismatchError{ExpectType: "struct", ActualType: "**options_test.model"},
			`option model: is "**options_test.model", must be a struct or a pointer to one`,
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := options.GenerateFromModel(test.given, test.model)
			if got != nil || err != test.want { //nolint:errorlint // the very value
				t.Fatalf("got %v, %#v, want %#v", got, err, test.want)
			}
			if err.Error() != test.text {
				t.Errorf("got  %s\nwant %s", err, test.text)
			}
			if !errors.Is(err, cnm.Invalid) || cnm.KindOf(err) != cnm.Invalid {
				t.Error("not of kind invalid")
			}
		})
	}
}

func TestGenerateFromModelNeverPanics(t *testing.T) {
	values := []interface{}{nil, 1, "x", 1.5, true, net.IP{1}, []string{"a"}, map[string]string{}, struct{}{}, new(int), model{}}
	rapid.Check(t, func(t *rapid.T) {
		given := options.Generic(rapid.MapOf(
			rapid.SampledFrom([]string{"Name", "Count", "IP", "Any", "Writer", "Pointer", "Map", "secret", "base", "hidden", "Deep", "Inherited", "", "x"}),
			rapid.SampledFrom(values),
		).Draw(t, "options"))
		got, err := options.GenerateFromModel(given, rapid.SampledFrom(values).Draw(t, "model"))
		if (got == nil) != (err != nil) {
			t.Fatalf("got %v and %v", got, err)
		}
	})
}
