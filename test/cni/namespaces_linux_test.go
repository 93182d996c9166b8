package cni

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestNamespaceOfAnother: the path of a namespace, as that of a process, may come to stand
// for another's. What is there is nobody's of ours, whether a DEL comes or a boot.
func TestNamespaceOfAnother(t *testing.T) {
	for name, then := range map[string]func(m *machine, k key){
		"DEL": func(m *machine, k key) { m.must(m.call("DEL", k, published(8080))) },
		"DEL of nowhere": func(m *machine, k key) {
			k.netns = ""
			m.must(m.call("DEL", k, published(8080)))
		},
		"GC": func(m *machine, _ key) { m.must(m.call("GC", key{}, nil)) },
		"GC that spares it": func(m *machine, k key) {
			m.must(m.call("GC", key{}, object{"cni.dev/valid-attachments": []object{{"containerID": k.container, "ifname": "eth0"}}}))
		},
		"boot": func(m *machine, _ key) {
			if err := os.RemoveAll(filepath.Join(m.folder, "run")); err != nil {
				m.t.Fatal(err)
			}
			m.must(m.call("ADD", m.container(), nil))
		},
		"CHECK": func(m *machine, k key) {
			if got := m.call("CHECK", k, object{"prevResult": object{"cniVersion": "1.1.0"}}); got.status == 0 {
				t.Error("CHECK finds nothing")
			}
		},
		"ADD": func(m *machine, k key) {
			m.must(m.call("ADD", k, object{"network": "red", "subnet": "10.21.0.0/16"}))
			m.must(m.call("GC", key{}, object{"network": "red"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			k, other := m.container(), m.container()
			path := filepath.Join(m.folder, "ns")
			if err := os.Symlink(k.netns, path); err != nil {
				t.Fatal(err)
			}
			gone := k.netns
			k.netns = path
			m.must(m.call("ADD", k, published(8080)))
			deleteNamespace(t, gone)
			for _, command := range []string{"link add wire0 type bridge", "link set wire0 up", "addr add 192.0.2.2/24 dev wire0", "route add default via 192.0.2.1", "addr add 10.20.0.2/16 dev wire0"} {
				run(t, other.netns, append([]string{"ip"}, strings.Fields(command)...)...)
			}
			look := func() string { return run(t, other.netns, "ip", "-4", "addr") + run(t, other.netns, "ip", "route") }
			before := look()
			if name == "ADD" {
				// It takes another name there, which is the only thing that changes.
				k.ifname = "eth1"
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(other.netns, path); err != nil {
				t.Fatal(err)
			}
			then(m, k)
			if name == "ADD" { // which is meant for that namespace
				if links := run(t, other.netns, "ip", "-o", "link"); strings.Contains(links, "eth0") {
					t.Errorf("what the container of before had is made there:\n%s", links)
				}
				return
			}
			if after := look(); after != before {
				t.Errorf("another's namespace has become\n%s\nand was\n%s", after, before)
			}
		})
	}
}
