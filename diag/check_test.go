package diag

import (
	"fmt"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/survey"
)

// What is one for the whole machine cannot be made bad in a namespace: here the numbers
// are given.
func TestChecksOfTheWholeMachine(t *testing.T) {
	var records libnetwork.Records
	for i := range 450 {
		records.Endpoints = append(records.Endpoints, &cnm.Endpoint{ID: fmt.Sprint(i), SandboxID: fmt.Sprint(i)})
	}
	able := []survey.Ability{{Name: "network namespaces", Present: true}, {Name: "connection tracking", Module: "nf_conntrack"}}
	for _, c := range []struct {
		check, level string
		machine      survey.Report
	}{
		{"neighbours", api.LevelWarning, survey.Report{Sysctls: map[string]string{keyThresh4: "1024"}}},
		{"neighbours", api.LevelOK, survey.Report{Sysctls: map[string]string{keyThresh4: "4096", keyThresh6: "4096"}}},
		{"neighbours", api.LevelOK, survey.Report{}},
		{"connections", api.LevelOK, survey.Report{Connections: 79, MaxConnections: 100}},
		{"connections", api.LevelWarning, survey.Report{Connections: 80, MaxConnections: 100}},
		{"connections", api.LevelError, survey.Report{Connections: 95, MaxConnections: 100}},
		{"connections", api.LevelOK, survey.Report{}},
		{"kernel", api.LevelError, survey.Report{Abilities: able}},
		{"kernel", api.LevelOK, survey.Report{Abilities: able[:1]}},
		{"other-firewalls", api.LevelInfo, survey.Report{Firewalld: true}},
		{"bridge-netfilter", api.LevelInfo, survey.Report{Sysctls: map[string]string{keyBridged6: "1"}}},
		{"disk", api.LevelError, survey.Report{Folders: []survey.Folder{{Path: "/data", ReadOnly: true}}}},
		{"disk", api.LevelWarning, survey.Report{Folders: []survey.Folder{{Path: "/data", Available: 1 << 30, Files: 9999, FilesAvailable: 9}}}},
	} {
		x := &examination{scene: newScene(records, &c.machine, "nftables"), backend: "nftables", dataDir: "/data"}
		found := false
		for _, f := range x.all() {
			if f.Check == c.check {
				found = found || f.Level == c.level
				if f.Level != c.level {
					t.Errorf("%s: %+v, want level %s", c.check, f, c.level)
				}
			}
		}
		if !found {
			t.Errorf("%s: not found", c.check)
		}
	}
}

func TestReserved(t *testing.T) {
	for list, want := range map[string]bool{"": false, "40000-40999": true, "1,40000-41000,50000": true, "40001-40999": false, "x-y": false} {
		if got := reserved(list, 40000, 40999); got != want {
			t.Errorf("%q: %v", list, got)
		}
	}
}

func TestEachCheckHasANameOfItsOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range checks() {
		if seen[c.name] || c.fine == "" || strings.ToLower(c.name) != c.name {
			t.Errorf("check %q", c.name)
		}
		seen[c.name] = true
	}
}
