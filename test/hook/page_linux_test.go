package hook

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

// fragments are the pieces of bundles on the page for users, in its order.
func fragments(t *testing.T) []*specs.Spec {
	t.Helper()
	page, err := os.ReadFile("../../docs/oci-hook.md")
	ok(t, err)
	var out []*specs.Spec
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1) {
		decoder := json.NewDecoder(bytes.NewReader(block[1]))
		decoder.DisallowUnknownFields()
		fragment := new(specs.Spec)
		ok(t, decoder.Decode(fragment))
		out = append(out, fragment)
	}
	if len(out) != 3 {
		t.Fatalf("%d fragments on the page", len(out))
	}
	return out
}

// merge adds a fragment to a bundle, with the programs where they are in the test.
func (m *machine) merge(spec, fragment *specs.Spec) {
	for key, value := range fragment.Annotations {
		spec.Annotations[key] = value
	}
	if fragment.Linux != nil {
		spec.Linux.Namespaces = fragment.Linux.Namespaces
	}
	spec.Mounts = append(spec.Mounts, fragment.Mounts...)
	if fragment.Hooks == nil {
		return
	}
	spec.Hooks = fragment.Hooks
	for _, hooks := range [][]specs.Hook{spec.Hooks.CreateRuntime, spec.Hooks.Poststop} {
		for i := range hooks {
			hooks[i].Path = program(m.t, "dnet-hook")
			hooks[i].Env = []string{"DNET_HOST=unix://" + m.socket}
		}
	}
}

// TestFragmentsOfThePage: what the page says to write works as it stands.
func TestFragmentsOfThePage(t *testing.T) {
	m, page := newMachine(t), fragments(t)
	c := newContainer(t, runtimes()[0], "box", script, nil, func(spec *specs.Spec) { m.merge(spec, page[0]) })
	if err := c.run(); err != nil {
		t.Fatalf("%v: %s", err, c.said())
	}
	c.says("reached by name", "10.88.0.77\tbox-host")
	await(t, "the published port", func() error { return visit(m, 8080) })
	c.remove()
	m.wantClean()

	c = newContainer(t, runtimes()[1], "box", "cat /etc/resolv.conf; ping -c 1 -W 5 peer && echo reached by name; sleep 60", nil, func(spec *specs.Spec) {
		m.merge(spec, page[0])
		m.merge(spec, page[1])
		delete(spec.Annotations, "dnet.publish")
	})
	for _, name := range []string{"resolv.conf", "hosts"} {
		ok(t, os.WriteFile(c.bundle+"/"+name, nil, 0o644))
	}
	if err := c.run(); err != nil {
		t.Fatalf("%v: %s", err, c.said())
	}
	c.says("nameserver 127.0.0.11", "reached by name")
	c.remove()
	m.wantClean()
}

// TestOldHookOfThePage: that of an engine.
func TestOldHookOfThePage(t *testing.T) {
	kerneltest.RequireRoot(t)
	page := fragments(t)
	controller, err := libnetwork.New(config.OptionHostNamespace(kerneltest.NewNamespace(t)), config.OptionDataDir(t.TempDir()), config.OptionAnnounce(0, 0))
	ok(t, err)
	t.Cleanup(controller.Stop)
	sandbox, err := controller.NewSandbox("box", libnetwork.OptionUseExternalKey())
	ok(t, err)
	t.Cleanup(func() { ok(t, sandbox.Delete()) })
	c := newContainer(t, runtimes()[0], "box", "echo it runs; sleep 60", nil, func(spec *specs.Spec) {
		spec.Hooks = page[2].Hooks
		h := &spec.Hooks.Prestart[0] //nolint:staticcheck // deprecated, and what engines of 2017 write
		h.Path = program(t, "libnetwork-setkey")
		h.Args[2], h.Args[3] = "box", controller.ID()
	})
	if err := c.run(); err != nil {
		t.Fatalf("%v: %s", err, c.said())
	}
	c.says("it runs")
	if sandbox.Key() == "" {
		t.Error("the sandbox has no key")
	}
	c.remove()
}
