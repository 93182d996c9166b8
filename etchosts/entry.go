package etchosts

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/docker/libnetwork/cnm"
)

const opLine = "make hosts file line"

func (e Entry) line() (string, error) {
	if !e.IP.IsValid() {
		return "", cnm.E(opLine, cnm.Invalid, fmt.Errorf("names %q: have no address", e.Names))
	}
	if e.IP.Zone() != "" {
		return "", cnm.E(opLine, cnm.Invalid, fmt.Errorf("address %q: has a zone, which resolvers read differently: give it without", e.IP))
	}
	if len(e.Names) == 0 {
		return "", cnm.E(opLine, cnm.Invalid, fmt.Errorf("address %q: has no name", e.IP))
	}
	for _, name := range e.Names {
		if err := CheckName(name); err != nil {
			return "", cnm.Wrap(opLine, err)
		}
	}
	return e.IP.String() + "\t" + strings.Join(e.Names, " "), nil
}

// CheckName refuses what would not come back from the file as one name, with kind
// Invalid. It does not ask for a valid DNS name: resolvers do not either.
func CheckName(name string) error {
	const op = "check host name"
	if name == "" {
		return cnm.E(op, cnm.Invalid, errors.New(`name "": is empty`))
	}
	if !utf8.ValidString(name) {
		return cnm.E(op, cnm.Invalid, fmt.Errorf("name %q: is not UTF-8", name))
	}
	for _, r := range name {
		if r == '#' || unicode.IsSpace(r) || unicode.IsControl(r) {
			return cnm.E(op, cnm.Invalid, fmt.Errorf("name %q: holds %q, but must be free of blanks, control characters and '#'", name, r))
		}
	}
	return nil
}
