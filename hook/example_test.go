package hook_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker/libnetwork/hook"
)

// A container engine can be its own hook: it puts itself into the bundle's hooks, under
// the name of 2017's hook, and finds out by its name when it is called as that.
func ExampleRun() {
	if filepath.Base(os.Args[0]) == hook.SetKeyName {
		os.Exit(hook.Run(context.Background(), hook.Options{
			Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		}))
	}
	fmt.Println("an engine")
	// Output: an engine
}
