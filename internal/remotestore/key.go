package remotestore

import (
	"fmt"
	"net/url"
	"strings"
)

// Keys that start with a dot are free for the store's own entries, since EscapeKey never
// returns one.

// EscapeKey writes a key with letters, digits, dashes, underlines, dots and the bytes of
// allowed only; others as %XX. So is a dot at the start.
func EscapeKey(key, allowed string) string {
	var out strings.Builder
	for i := range len(key) {
		b := key[i]
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z', '0' <= b && b <= '9', b == '-', b == '_',
			b == '.' && i > 0, b != '%' && b != '.' && strings.IndexByte(allowed, b) >= 0:
			out.WriteByte(b)
		default:
			fmt.Fprintf(&out, "%%%02X", b)
		}
	}
	return out.String()
}

// UnescapeKey takes EscapeKey back; false means that another program wrote the key.
func UnescapeKey(escaped string) (string, bool) {
	if escaped == "" || escaped[0] == '.' {
		return "", false
	}
	key, err := url.PathUnescape(escaped)
	return key, err == nil
}
