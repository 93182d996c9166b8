package config

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzParse asserts that any text is either refused or gives a valid configuration.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*.toml")
	if err != nil || len(seeds) == 0 {
		f.Fatal("no seeds", err)
	}
	for _, name := range seeds {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		cfg, err := parse(text)
		if (cfg == nil) != (err != nil) {
			t.Fatalf("got %v and %v", cfg, err)
		}
		if cfg == nil {
			return
		}
		if err := cfg.Validate(); err != nil {
			t.Fatalf("accepted, but %v", err)
		}
	})
}
