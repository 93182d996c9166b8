package cni

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
)

// object is a JSON object whose members are taken one by one. What nobody has taken at the
// end would be ignored, and is refused instead.
type object struct {
	path    string // of the object in the configuration, with a dot at its end; may be empty
	members map[string]json.RawMessage
	errs    []error
}

// newObject reads an object. Nothing, and null, are empty ones.
func newObject(path string, text []byte) (*object, error) {
	o := &object{path: path}
	if len(bytes.TrimSpace(text)) == 0 {
		return o, nil
	}
	if err := json.Unmarshal(text, &o.members); err != nil {
		return nil, fail(types.ErrDecodingFailure, "decode %sconfiguration: %s", spaced(path), err)
	}
	return o, nil
}

func spaced(path string) string {
	if path == "" {
		return ""
	}
	return fmt.Sprintf("%q in the ", path[:len(path)-1])
}

// has reports whether there is such a member, and one that is not null.
func (o *object) has(key string) bool {
	text, ok := o.members[key]
	return ok && !bytes.Equal(bytes.TrimSpace(text), []byte("null"))
}

// take decodes a member, if it is there, and reports whether it was.
func (o *object) take(key string, to any) bool {
	text, ok := o.members[key]
	delete(o.members, key)
	if !ok || bytes.Equal(bytes.TrimSpace(text), []byte("null")) {
		return false
	}
	if err := json.Unmarshal(text, to); err != nil {
		o.errs = append(o.errs, o.decodeError(key, text, err))
		return false
	}
	return true
}

// decodeError names the key and its value.
func (o *object) decodeError(key string, text json.RawMessage, err error) error {
	wrong := unsupported(o.path+key, text, err.Error())
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		wrong.Msg = unsupported(o.path+key, text, fmt.Sprintf("want %s", wanted(kind.Type.String()))).Msg
	}
	wrong.Code = types.ErrDecodingFailure
	return wrong
}

// wanted is what the types of Go are called in JSON.
func wanted(kind string) string {
	switch kind {
	case "bool":
		return "true or false"
	case "string":
		return "text"
	case "int", "int64", "uint64", "uint16", "int32":
		return "a whole number"
	}
	return "another form: " + kind
}

// child takes a member that is an object; there may be none.
func (o *object) child(key string) *object {
	text := o.members[key]
	delete(o.members, key)
	c, err := newObject(o.path+key+".", text)
	if err != nil {
		o.errs = append(o.errs, err)
		return &object{path: o.path + key + "."}
	}
	return c
}

// refuse is for a member whose value cannot be honoured.
func (o *object) refuse(key string, value any, why string) {
	o.errs = append(o.errs, unsupported(o.path+key, value, why))
}

// only takes a member of which just some values come to what is done anyway.
func (o *object) only(key string, why string, values ...any) {
	var value any
	if o.take(key, &value) && !slices.Contains(values, value) {
		o.refuse(key, value, why)
	}
}

// done returns the first error, or refuses the first member that nobody has taken.
func (o *object) done() error {
	if len(o.errs) > 0 {
		return o.errs[0]
	}
	for _, key := range slices.Sorted(maps.Keys(o.members)) {
		return unsupported(o.path+key, o.members[key], "this plugin does not know the key; take it out")
	}
	return nil
}
