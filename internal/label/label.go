// Package label decodes maps of options strictly: what is not known is refused, with
// the nearest thing that is.
package label

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Decoder reads one map of options. Its methods record the first error; later ones
// then return zero values, so that a caller asks for all and looks at Err once.
type Decoder struct {
	values map[string]string
	err    error
}

// NewDecoder takes options, and for each option that is known its spellings, of
// which the first is the one that the methods are asked with. Spellings without a
// dot, the field names of old Go callers, match in any case.
func NewDecoder(options map[string]string, known ...[]string) *Decoder {
	d := &Decoder{values: make(map[string]string)}
	for _, given := range slices.Sorted(maps.Keys(options)) {
		name, ok := find(given, known)
		if !ok {
			d.fail(fmt.Errorf("option %q: unknown; did you mean %q?", given, nearest(given, known)))
			return d
		}
		value := strings.TrimSpace(options[given])
		if old, ok := d.values[name]; ok && old != value {
			d.fail(fmt.Errorf("option %q: given as %q, and under another name as %q", given, value, old))
			return d
		}
		d.values[name] = value
	}
	return d
}

func find(given string, known [][]string) (name string, ok bool) {
	for _, spellings := range known {
		for _, spelling := range spellings {
			if given == spelling || !strings.Contains(spelling, ".") && strings.EqualFold(given, spelling) {
				return spellings[0], true
			}
		}
	}
	return "", false
}

func (d *Decoder) fail(err error) {
	if d.err == nil {
		d.err = cnm.E("", cnm.Invalid, err)
	}
}

// Err returns the first error, of kind Invalid.
func (d *Decoder) Err() error { return d.err }

// Has reports whether the option was given.
func (d *Decoder) Has(name string) bool {
	_, ok := d.values[name]
	return ok && d.err == nil
}

// String returns the option's text, empty if it was not given.
func (d *Decoder) String(name string) string {
	if d.err != nil {
		return ""
	}
	return d.values[name]
}

// Bool returns the option, or otherwise if it was not given.
func (d *Decoder) Bool(name string, otherwise bool) bool {
	if !d.Has(name) {
		return otherwise
	}
	value, err := strconv.ParseBool(d.values[name])
	if err != nil {
		d.bad(name, "true or false")
		return otherwise
	}
	return value
}

// Int returns the option, which must be within the bounds, or otherwise if it was
// not given.
func (d *Decoder) Int(name string, lowest, highest, otherwise int) int {
	if !d.Has(name) {
		return otherwise
	}
	value, err := strconv.Atoi(d.values[name])
	if err != nil || value < lowest || value > highest {
		d.bad(name, fmt.Sprintf("a number from %d to %d", lowest, highest))
		return otherwise
	}
	return value
}

// Addr returns the option, or the zero Addr if it was not given or is empty.
func (d *Decoder) Addr(name string) netip.Addr {
	if d.String(name) == "" {
		return netip.Addr{}
	}
	address, err := netip.ParseAddr(d.values[name])
	if err != nil {
		d.bad(name, "an IP address")
	}
	return address.Unmap()
}

// Prefix returns the option, or the zero Prefix if it was not given or is empty.
func (d *Decoder) Prefix(name string) netip.Prefix {
	if d.String(name) == "" {
		return netip.Prefix{}
	}
	prefix, err := netip.ParsePrefix(d.values[name])
	if err != nil {
		d.bad(name, "an address with a length, as 192.0.2.1/24")
	}
	return prefix
}

// Refuse records that the option's value cannot be taken, and what can.
func (d *Decoder) Refuse(name, want string) { d.bad(name, want) }

func (d *Decoder) bad(name, want string) {
	d.fail(fmt.Errorf("option %q: value %q: want %s", name, d.values[name], want))
}

// nearest returns the spelling with the fewest edits to what was given.
func nearest(given string, known [][]string) string {
	best, fewest := "", -1
	for _, spellings := range known {
		for _, spelling := range spellings {
			if n := Edits(strings.ToLower(given), strings.ToLower(spelling)); fewest < 0 || n < fewest {
				best, fewest = spelling, n
			}
		}
	}
	return best
}

// Edits is the Levenshtein distance: the number of bytes to insert, delete or
// replace.
func Edits(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
