package atomicfile

import "testing"

// TestCover checks what a crash before the truncation leaves: no line of the old
// content.
func TestCover(t *testing.T) {
	tests := []struct {
		content string
		size    int64
		want    string
	}{
		{"new\n", 0, "new\n"},
		{"new\n", 4, "new\n"},
		{"new\n", 7, "new\n\n\n\n"},
		{"", 2, "\n\n"},
	}
	for _, test := range tests {
		if got := string(cover([]byte(test.content), test.size)); got != test.want {
			t.Errorf("cover %q over %d bytes: %q, want %q", test.content, test.size, got, test.want)
		}
	}
}
