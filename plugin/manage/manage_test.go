package manage

import (
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	for name, good := range map[string]bool{
		"dnet": true, "a.b-c_D9": true, strings.Repeat("a", 64): true,
		"": false, ".": false, "..": false, ".a": false, "a/b": false, "a b": false, "ä": false, "a\x00": false, strings.Repeat("a", 65): false,
	} {
		if err := CheckName(name); (err == nil) != good {
			t.Errorf("name %q: %v", name, err)
		}
	}
}
