package options

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// Generic holds option values by name. A nil Generic can be read.
type Generic map[string]interface{}

// NewGeneric returns an empty Generic.
func NewGeneric() Generic { return make(Generic) }

// GenerateFromModel makes a struct of the model's type and sets its fields from
// the options of the same names, which are case-sensitive. The model is a struct
// or a pointer to one, and only its type matters: the result is a new struct for the
// former and a pointer to one for the latter. Fields without an option are zero.
//
// An option without a field is a NoSuchFieldError, one whose field is not exported
// a CannotSetFieldError, and a value not assignable to its field, or a model that
// is no struct, a TypeMismatchError. Of several the first by name is returned.
func GenerateFromModel(options Generic, model interface{}) (interface{}, error) {
	modelType := reflect.TypeOf(model)
	pointer := modelType != nil && modelType.Kind() == reflect.Pointer
	if pointer {
		modelType = modelType.Elem()
	}
	if modelType == nil || modelType.Kind() != reflect.Struct {
		return nil, TypeMismatchError{ExpectType: "struct", ActualType: typeName(reflect.TypeOf(model))}
	}
	result := reflect.New(modelType)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if err := setField(result.Elem(), name, options[name]); err != nil {
			return nil, err
		}
	}
	if pointer {
		return result.Interface(), nil
	}
	return result.Elem().Interface(), nil
}

func setField(target reflect.Value, name string, value any) error {
	owner := typeName(target.Type())
	description, ok := target.Type().FieldByName(name)
	if !ok {
		return NoSuchFieldError{Field: name, Type: owner}
	}
	// A field of an embedded nil pointer has no place yet.
	field, err := target.FieldByIndexErr(description.Index)
	if err != nil || !field.CanSet() {
		return CannotSetFieldError{Field: name, Type: owner}
	}
	if value == nil && nilable(field.Kind()) {
		return nil
	}
	actual := reflect.TypeOf(value)
	if actual == nil || !actual.AssignableTo(field.Type()) {
		return TypeMismatchError{Field: name, ExpectType: typeName(field.Type()), ActualType: typeName(actual)}
	}
	field.Set(reflect.ValueOf(value))
	return nil
}

func nilable(kind reflect.Kind) bool {
	switch kind {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice, reflect.Func, reflect.Chan:
		return true
	default:
		return false
	}
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "nil"
	}
	return t.String()
}

// NoSuchFieldError is the error for an option that the model has no field for.
type NoSuchFieldError struct {
	Field string
	Type  string
}

// Error implements error.
func (e NoSuchFieldError) Error() string {
	return fmt.Sprintf("option %q: type %q has no such field", e.Field, e.Type)
}

// Unwrap makes errors.Is(err, cnm.Invalid) true.
func (e NoSuchFieldError) Unwrap() error { return cnm.Invalid }

// CannotSetFieldError is the error for an option whose field is out of reach.
type CannotSetFieldError struct {
	Field string
	Type  string
}

// Error implements error.
func (e CannotSetFieldError) Error() string {
	return fmt.Sprintf("option %q: the field of type %q cannot be set from outside", e.Field, e.Type)
}

// Unwrap makes errors.Is(err, cnm.Invalid) true.
func (e CannotSetFieldError) Unwrap() error { return cnm.Invalid }

// TypeMismatchError is the error for a value that does not fit its field. Field is
// empty if the model itself is no struct.
type TypeMismatchError struct {
	Field      string
	ExpectType string
	ActualType string
}

// Error implements error.
func (e TypeMismatchError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("option model: is %q, must be a %s or a pointer to one", e.ActualType, e.ExpectType)
	}
	return fmt.Sprintf("option %q: is of type %q, must be %q", e.Field, e.ActualType, e.ExpectType)
}

// Unwrap makes errors.Is(err, cnm.Invalid) true.
func (e TypeMismatchError) Unwrap() error { return cnm.Invalid }
