package libnetwork

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"unicode"
)

// newID returns a random identity of 64 hexadecimal digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:]) //nolint:errcheck // never fails, by its documentation
	return hex.EncodeToString(b[:])
}

// shortID is the part of an id that is shown, and used in file names.
func shortID(id string) string { return id[:min(12, len(id))] }

// longestID is how long an id may be, in bytes: as the name of a file (NAME_MAX).
const longestID = 255

// checkID accepts what is safe as a key in a store and in a file name.
func checkID(id string) error {
	if id == "" || len(id) > longestID || id == "." || id == ".." {
		return ErrInvalidID(id)
	}
	for _, r := range id {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-", r) {
			return ErrInvalidID(id)
		}
	}
	return nil
}

// checkName accepts any text that is not blank and can be printed.
func checkName(name string) error {
	if strings.TrimSpace(name) == "" || strings.ContainsFunc(name, unicode.IsControl) {
		return ErrInvalidName(name)
	}
	return nil
}

// quote names a subject in an error, as in `network "web"`.
func quote(what, name string) string { return fmt.Sprintf("%s %q", what, name) }
