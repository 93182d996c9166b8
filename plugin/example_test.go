package plugin_test

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
)

// A plugin is found by its name and asked for a method. There is none in this folder.
func Example() {
	folder, err := os.MkdirTemp("", "plugins")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(folder) //nolint:errcheck // it is empty
	registry := plugin.New(plugin.Options{SocketFolders: []string{folder}, SpecFolders: []string{folder}})
	defer registry.Close() //nolint:errcheck // it returns none

	ctx := context.Background()
	mesh, err := registry.Get(ctx, "mesh", "NetworkDriver")
	if errors.Is(err, cnm.NotFound) {
		fmt.Println("there is no plugin of that name")
		return
	}
	var abilities struct{ Scope string }
	if err := mesh.Call(ctx, "NetworkDriver.GetCapabilities", nil, &abilities); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("its networks are", abilities.Scope)
	// Output: there is no plugin of that name
}
