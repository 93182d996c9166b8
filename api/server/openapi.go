package server

import (
	"encoding"
	"encoding/json"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/docker/libnetwork/api"
)

// Document returns the OpenAPI 3.1 description of the interface, which is made of the table
// of routes and of the types that they take and return.
func Document(version string) map[string]any {
	schemas := &schemas{made: make(map[string]any), asked: askedTypes()}
	paths := make(map[string]map[string]any)
	for _, r := range routes() {
		if paths[r.path] == nil {
			paths[r.path] = make(map[string]any)
		}
		paths[r.path][strings.ToLower(r.method)] = schemas.operation(r)
	}
	return map[string]any{
		"openapi": "3.1.0",
		"info": map[string]any{
			"title": "dnet", "version": version,
			"description": "Networks of containers. Every path also answers behind one leading element, as in /v1.0/networks. " +
				"Errors are text, or JSON for clients that accept application/json.",
		},
		"paths":      paths,
		"components": map[string]any{"schemas": schemas.made},
	}
}

// schemas are those of named types, by name.
type schemas struct {
	made map[string]any
	// asked are the names of the types that are in bodies.
	asked map[string]any
}

// askedTypes returns the types that are in bodies, by name.
func askedTypes() map[string]any {
	s := &schemas{made: make(map[string]any)}
	for _, r := range routes() {
		if r.in != nil {
			s.of(reflect.TypeOf(r.in()).Elem())
		}
	}
	return s.made
}

func (s *schemas) operation(r route) map[string]any {
	out := map[string]any{"summary": r.summary, "operationId": operationID(r)}
	var in []any
	for _, match := range parameters().FindAllStringSubmatch(r.path, -1) {
		in = append(in, map[string]any{"name": match[1], "in": "path", "required": true, "schema": map[string]any{"type": "string"}})
	}
	for _, name := range r.query {
		in = append(in, map[string]any{"name": name, "in": "query", "schema": parameterSchema(name)})
	}
	if in != nil {
		out["parameters"] = in
	}
	if r.in != nil {
		out["requestBody"] = map[string]any{
			"required": !r.optional, "content": content("application/json", s.of(reflect.TypeOf(r.in()).Elem())),
		}
	}
	success := map[string]any{"description": "success"}
	switch {
	case r.out != nil:
		kinds := content("application/json", s.of(reflect.TypeOf(r.out)))
		if r.lines != nil {
			kinds["application/x-ndjson"] = map[string]any{"schema": s.of(reflect.TypeOf(r.lines))}
		}
		success["content"] = kinds
	case r.content != "":
		success["content"] = content(r.content, map[string]any{"type": "string"})
	}
	responses := map[string]any{
		strconv.Itoa(r.status): success,
		"default": map[string]any{
			"description": "error, with the status of its kind",
			"content": map[string]any{
				"application/json": map[string]any{"schema": s.of(reflect.TypeFor[api.Error]())},
				"text/plain":       map[string]any{"schema": map[string]any{"type": "string"}},
			},
		},
	}
	if r.unwell != nil {
		responses["503"] = map[string]any{"description": "not well", "content": content("application/json", s.of(reflect.TypeOf(r.unwell)))}
	}
	out["responses"] = responses
	return out
}

// parameterSchema returns the schema of a query's parameter. A label may be given more
// than once.
func parameterSchema(name string) map[string]any {
	switch name {
	case "label":
		return map[string]any{"type": "array", "items": map[string]any{"type": "string"}}
	case "force", "dry-run":
		return map[string]any{"type": "boolean"}
	case "port":
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<16 - 1}
	case "after":
		return map[string]any{"type": "integer", "minimum": 0}
	}
	return map[string]any{"type": "string"}
}

func content(kind string, schema any) map[string]any {
	return map[string]any{kind: map[string]any{"schema": schema}}
}

// operationID is the method with the words of the path.
func operationID(r route) string {
	words := strings.FieldsFunc(r.path, func(c rune) bool { return strings.ContainsRune("/{}.", c) })
	return strings.ToLower(r.method) + "-" + strings.Join(words, "-")
}

// of returns the schema of a type as encoding/json writes it.
func (s *schemas) of(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t == reflect.TypeFor[json.RawMessage]() || t.Kind() == reflect.Interface:
		return map[string]any{}
	case t.Implements(textType()):
		return map[string]any{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case reflect.Struct:
		if _, known := s.made[t.Name()]; !known {
			s.made[t.Name()] = nil // a type may contain itself
			s.made[t.Name()] = s.object(t)
		}
		return map[string]any{"$ref": "#/components/schemas/" + t.Name()}
	case reflect.Uint8, reflect.Uint16:
		return map[string]any{"type": "integer", "minimum": 0, "maximum": 1<<t.Bits() - 1}
	case reflect.Uint64:
		return map[string]any{"type": "integer", "minimum": 0}
	default: // what is left are numbers
		return map[string]any{"type": "integer"}
	}
}

// object returns the schema of a struct. A field that is never left out is required of
// answers; of bodies nothing is, since what is missing is zero.
func (s *schemas) object(t reflect.Type) map[string]any {
	properties := make(map[string]any)
	required := s.fields(t, properties)
	out := map[string]any{"type": "object", "properties": properties}
	if _, asked := s.asked[t.Name()]; !asked && len(required) > 0 {
		slices.Sort(required)
		out["required"] = required
	}
	return out
}

// fields fills in the schemas of a struct's fields, and returns the names of those that
// encoding/json never leaves out.
func (s *schemas) fields(t reflect.Type, into map[string]any) (always []string) {
	for field := range fieldsOf(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			always = append(always, s.fields(field.Type, into)...)
			continue
		}
		if name == "" {
			name = field.Name
		}
		into[name] = s.of(field.Type)
		if options == "" {
			always = append(always, name)
		}
	}
	return always
}

// textType is what has a text form of its own, such as an address.
func textType() reflect.Type { return reflect.TypeFor[encoding.TextMarshaler]() }

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}
