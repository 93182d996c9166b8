package main

import (
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) { testscript.Main(m, map[string]func(){"dnet": main}) }

// TestScripts runs testdata/*.txtar.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata", RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("DNET_HOST", "unix://"+env.WorkDir+"/nobody")
			// The race detector would wait for a second at the end of each program.
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
	})
}
