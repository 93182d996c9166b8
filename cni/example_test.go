package cni_test

import (
	"context"
	"os"
	"strings"

	"github.com/docker/libnetwork/cni"
)

// A program that is nothing but the plugin hands over what it was started with. Here a
// runtime asks for the versions.
func ExampleRun() {
	status := cni.Run(context.Background(), cni.Process{
		Environment: func(name string) string { return map[string]string{"CNI_COMMAND": "VERSION"}[name] },
		Input:       strings.NewReader(`{"cniVersion": "1.1.0"}`),
		Output:      os.Stdout,
	})
	if status != 0 {
		os.Exit(status)
	}
	// Output:
	// {
	//     "cniVersion": "1.1.0",
	//     "supportedVersions": [
	//         "0.3.0",
	//         "0.3.1",
	//         "0.4.0",
	//         "1.0.0",
	//         "1.1.0"
	//     ]
	// }
}
