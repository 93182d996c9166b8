package plugin_test

import (
	"fmt"
	"testing"

	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

// BenchmarkCall is one exchange with a plugin that does nothing.
func BenchmarkCall(b *testing.B) {
	p := plugintest.Start(b, "p", "NetworkDriver")
	p.Answer("NetworkDriver.Join", `{"InterfaceName":{"SrcName":"made0","DstPrefix":"eth"}}`)
	r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}})
	defer r.Close() //nolint:errcheck // it returns none
	found, err := r.Get(b.Context(), "p", "NetworkDriver")
	if err != nil {
		b.Fatal(err)
	}
	request := map[string]string{"NetworkID": "n", "EndpointID": "e"}
	for b.Loop() {
		var reply struct{ InterfaceName struct{ SrcName string } }
		if err := found.Call(b.Context(), "NetworkDriver.Join", request, &reply); err != nil || reply.InterfaceName.SrcName != "made0" {
			b.Fatal(fmt.Errorf("%v, %w", reply, err))
		}
	}
}
