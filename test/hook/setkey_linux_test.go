package hook

import (
	"os"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func network(name, subnet string) api.NetworkCreate {
	return api.NetworkCreate{Name: name, IPv4Conf: []api.IPAMConfig{{PreferredPool: subnet}}}
}

// TestSetKeyOfALibraryUser: this program uses the library as a container engine does, and
// the hook of 2017 brings it the namespace.
func TestSetKeyOfALibraryUser(t *testing.T) {
	everywhere(t, func(t *testing.T, runtime []string, add func(*specs.Hooks, specs.Hook)) {
		kerneltest.RequireRoot(t)
		folder, err := os.MkdirTemp("/run", "setkey")
		ok(t, err)
		t.Cleanup(func() { ok(t, os.RemoveAll(folder)) })
		controller, err := libnetwork.New(config.OptionHostNamespace(kerneltest.NewNamespace(t)), config.OptionDataDir(t.TempDir()),
			config.OptionExecRoot(folder), config.OptionAnnounce(0, 0))
		ok(t, err)
		t.Cleanup(controller.Stop)
		n, err := controller.NewNetwork("bridge", "web", "")
		ok(t, err)
		sandbox, err := controller.NewSandbox("box", libnetwork.OptionUseExternalKey())
		ok(t, err)
		ep, err := n.CreateEndpoint("box")
		ok(t, err)
		ok(t, ep.Join(sandbox))
		gateway := ep.Info().Gateway()
		c := newContainer(t, runtime, "box", "ping -c 1 -W 5 "+gateway.String()+" && echo reached; sleep 60", nil, func(spec *specs.Spec) {
			add(spec.Hooks, specs.Hook{
				Path: program(t, "libnetwork-setkey"),
				Args: []string{"libnetwork-setkey", "-exec-root=" + folder, "box", controller.ID()},
			})
		})
		if err := c.run(); err != nil {
			t.Fatalf("%v: %s", err, c.said())
		}
		c.says("reached")
		c.remove()
		ok(t, sandbox.Delete())
		ok(t, n.Delete())
		// Nobody waits for the key now: the hook fails, and so does the container.
		if err := c.run(); err == nil {
			t.Errorf("a container without a sandbox runs: %s", c.said())
		}
		c.says("no such sandbox")
	})
}
