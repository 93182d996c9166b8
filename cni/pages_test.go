package cni

import (
	"encoding/json"
	"os"
	"regexp"
	"testing"
)

// TestPages: the lists that are documented, and the one that is shipped, are read.
func TestPages(t *testing.T) {
	page, err := os.ReadFile("../docs/cni.md")
	if err != nil {
		t.Fatal(err)
	}
	shipped, err := os.ReadFile("../packaging/10-dnet.conflist")
	if err != nil {
		t.Fatal(err)
	}
	lists := [][]byte{shipped}
	for _, block := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(page, -1) {
		lists = append(lists, block[1])
	}
	if len(lists) < 5 {
		t.Fatalf("there are %d lists only", len(lists))
	}
	for _, text := range lists {
		var list struct {
			CNIVersion string           `json:"cniVersion"`
			Name       string           `json:"name"`
			Plugins    []map[string]any `json:"plugins"`
		}
		if err := json.Unmarshal(text, &list); err != nil || len(list.Plugins) != 1 {
			t.Errorf("%s: %v", text, err)
			continue
		}
		// As libcni does it.
		one := list.Plugins[0]
		one["name"], one["cniVersion"] = list.Name, list.CNIVersion
		delete(one, "capabilities")
		conf, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeConfig(conf, &request{command: commandAdd, container: "c", ifname: "eth0", netns: "/n"}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}
