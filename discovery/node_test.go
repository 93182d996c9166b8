package discovery

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
)

func TestParseStatic(t *testing.T) {
	for text, want := range map[string]string{
		"a":                           "a",
		"b:7,a:7, a:7":                "a:7 b:7",
		"192.0.2.[1-3]:2377":          "192.0.2.1:2377 192.0.2.2:2377 192.0.2.3:2377",
		"192.0.2.[9:10]":              "192.0.2.10 192.0.2.9",
		"n[08-11].example:1":          "n08.example:1 n09.example:1 n10.example:1 n11.example:1",
		"n[1-2]-[1-2]":                "n1-1 n1-2 n2-1 n2-2",
		"a,b,[1-3]":                   "1 2 3 a b",
		"[fd00::1]:7,fd00::2,fd00::0": "fd00:: [fd00::1]:7 fd00::2",
	} {
		got, err := ParseStatic(text)
		var words []string
		for _, node := range got {
			words = append(words, node.String())
		}
		if diff := cmp.Diff(want, strings.Join(words, " ")); diff != "" || err != nil {
			t.Errorf("%q: %v, %s", text, err, diff)
		}
	}
	for _, text := range []string{
		"", "a,,b", "a:", "a:0", "a:70000", "a b", "192.0.2.[3-1]", "[1-99999999999]", "[1-10001]", "n[1-200][1-200]", "a:1:2", "a[1", "[a-b]:1", "a/b",
		"[1-6000],n[1-6000]",
	} {
		if got, err := ParseStatic(text); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: %v, error %v, want %q", text, got, err, cnm.Invalid)
		}
	}
}

func FuzzParseStatic(f *testing.F) {
	for _, seed := range []string{"a,b,[1-3]", "192.0.2.[1:3]:2377", "[fd00::1]:7", "n[08-11]", "[", "]["} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		nodes, err := ParseStatic(text)
		if err != nil {
			if !errors.Is(err, cnm.Invalid) {
				t.Fatalf("error %v, want kind %q", err, cnm.Invalid)
			}
			return
		}
		if len(nodes) == 0 || len(nodes) > mostNodes {
			t.Fatalf("%d nodes", len(nodes))
		}
		for _, node := range nodes {
			if again, err := ParseNode(node.String()); err != nil || again != node {
				t.Fatalf("%+v is written %q, which is %+v, %v", node, node, again, err)
			}
		}
	})
}

func TestParseSource(t *testing.T) {
	providers := []string{"etcd", "zk"}
	for text, want := range map[string]Source{
		"nodes://b:1,a":                {Static: Static{{Host: "a"}, {Host: "b", Port: 1}}},
		"etcd://192.0.2.1:2379,h2":     {Provider: "etcd", Address: "192.0.2.1:2379,h2/docker/nodes"},
		" zk://192.0.2.1:2181/x/nodes": {Provider: "zk", Address: "192.0.2.1:2181/x/nodes"},
	} {
		got, err := ParseSource(text, providers...)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v, %s", text, err, diff)
		}
	}
	for _, text := range []string{"", "nodes://", "a:1", "redis://h:1", "nodes://a b"} {
		if _, err := ParseSource(text, providers...); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: error %v, want %q", text, err, cnm.Invalid)
		}
	}
}

func ExampleStatic() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	list, err := ParseStatic("192.0.2.[1-2]:2377,backup:2377")
	if err != nil {
		fmt.Println(err)
		return
	}
	for change, err := range list.Watch(ctx) {
		fmt.Println(change.Joined, err)
		cancel() // nothing else will come
	}
	// Output: [192.0.2.1:2377 192.0.2.2:2377 backup:2377] <nil>
}
