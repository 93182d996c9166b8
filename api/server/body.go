package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"reflect"
	"slices"

	"github.com/docker/libnetwork/cnm"
)

// decodeBody reads one JSON value. Fields that are not known are ignored, as ever.
func decodeBody(w http.ResponseWriter, req *http.Request, into any, optional bool) error {
	if content := req.Header.Get("Content-Type"); content != "" {
		if kind, _, err := mime.ParseMediaType(content); err != nil || kind != "application/json" {
			return status(http.StatusUnsupportedMediaType, cnm.Invalid, "body: type %q: want application/json", content)
		}
	}
	if p, ok := w.(*pieces); ok {
		w = p.ResponseWriter // which closes the connection if the body is too large
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return status(http.StatusRequestEntityTooLarge, cnm.Invalid, "body: is larger than %d bytes", maxBody)
		}
		return invalid("body: %v", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(into); {
	case errors.Is(err, io.EOF) && optional:
		return nil
	case errors.Is(err, io.EOF):
		return invalid("body: is empty; want a JSON object")
	case err != nil:
		return misfit(text, into, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return invalid("body: there is more behind the JSON value")
	}
	return nil
}

// misfit names the field that a body cannot be decoded for. Values with a text form of
// their own, such as addresses, do not tell it, so it is looked for: the first field that
// cannot be decoded alone.
func misfit(text []byte, into any, err error) error {
	var wrongType *json.UnmarshalTypeError
	var fields map[string]json.RawMessage
	if errors.As(err, &wrongType) {
		err = fmt.Errorf("a %s does not fit; want %s", wrongType.Value, expected(wrongType.Type))
	}
	if json.Unmarshal(text, &fields) == nil {
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			one, encodeErr := json.Marshal(map[string]json.RawMessage{name: fields[name]})
			if encodeErr == nil && json.Unmarshal(one, reflect.New(reflect.TypeOf(into).Elem()).Interface()) != nil {
				return invalid("body: field %q: %w", name, err)
			}
		}
	}
	return invalid("body: %w", err)
}

// expected is what JSON calls a type of Go.
func expected(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return expected(t.Elem())
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "an array"
	case reflect.Map:
		return "an object"
	case reflect.Uint8, reflect.Uint16:
		return fmt.Sprintf("a whole number from 0 to %d", 1<<t.Bits()-1)
	case reflect.Int:
		return "a whole number"
	case reflect.Struct:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) || reflect.PointerTo(t).Implements(textType()) {
			return "a string"
		}
		return "an object"
	}
	return "a string"
}
