package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/docker/libnetwork/internal/label"
)

// Bounds of the search for the lines of keys, which decodes the text once for each
// line.
const (
	maxLines = 500
	maxBytes = 1 << 16
)

// checkKeys refuses keys that nothing was decoded from, and keys that occur in two
// spellings, of which only one would count.
func checkKeys(text string, meta toml.MetaData) error {
	found := append(doubleKeys(meta.Keys()), unknownKeys(meta.Undecoded())...)
	if len(found) == 0 {
		return nil
	}
	lines := locate(text)
	for i, problem := range found {
		if line, ok := lines[problem.key]; ok {
			found[i].text = fmt.Sprintf("line %d: %s", line, problem.text)
		}
	}
	out := make(problems, len(found))
	for i, problem := range found {
		out[i] = problem
	}
	return out
}

// keyError is what is wrong with a key.
type keyError struct{ key, text string }

// Error implements error.
func (e keyError) Error() string { return e.text }

func doubleKeys(keys []toml.Key) []keyError {
	var found []keyError
	spelling := make(map[string]string)
	for _, key := range keys {
		exact := key.String()
		folded := strings.ToLower(exact)
		if other, ok := spelling[folded]; ok && other != exact {
			found = append(found, keyError{exact, fmt.Sprintf("key %q: is also there as %q; keep one", exact, other)})
		}
		spelling[folded] = exact
	}
	return found
}

func unknownKeys(keys []toml.Key) []keyError {
	var found []keyError
	known := knownKeys(reflect.TypeFor[file](), "")
	for _, key := range keys {
		name := key.String()
		// What is in an unknown table is unknown too, and so is each further element.
		if slices.ContainsFunc(found, func(e keyError) bool { return name == e.key || strings.HasPrefix(name, e.key+".") }) {
			continue
		}
		text := fmt.Sprintf("key %q: unknown; did you mean %q?", name, nearest(known, name))
		found = append(found, keyError{name, text})
	}
	return found
}

// knownKeys returns the keys that a struct is decoded from, tables first.
func knownKeys(t reflect.Type, table string) []string {
	var keys []string
	for i := range t.NumField() {
		field := t.Field(i)
		key := table + strings.ToLower(field.Name)
		keys = append(keys, key)
		inner := field.Type
		if inner.Kind() == reflect.Slice {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct {
			keys = append(keys, knownKeys(inner, key+".")...)
		}
	}
	return keys
}

// nearest returns the known key that takes the fewest edits. A known key of the
// same last part is nearer than any other: it was put into the wrong table.
func nearest(known []string, name string) string {
	name = strings.ToLower(name)
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

func distance(name, known string) int {
	if lastPart(name) == lastPart(known) {
		return 0
	}
	return label.Edits(name, known)
}

func lastPart(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

// locate returns the line that each key starts on; nothing for a long text. The
// decoder does not keep it; but a key appears with the first line up to which the
// text decodes, and it started where the last such text had ended.
func locate(text string) map[string]int {
	lines := strings.SplitAfter(text, "\n")
	if len(lines) > maxLines || len(text) > maxBytes {
		return nil
	}
	found := make(map[string]int)
	length, start := 0, 1
	for i, line := range lines {
		length += len(line)
		var ignored map[string]any
		meta, err := toml.Decode(text[:length], &ignored)
		if err != nil {
			continue
		}
		for _, key := range meta.Keys() {
			if _, ok := found[key.String()]; !ok {
				found[key.String()] = start
			}
		}
		start = i + 2
	}
	return found
}
