package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fieldsOf2017 are those that objects had in 2017. What came since stands beside them.
func fieldsOf2017() map[string]bool {
	return map[string]bool{"name": true, "id": true, "type": true, "endpoints": true, "network": true, "key": true, "container_id": true}
}

// as2017 leaves out of an answer what a client of 2017 does not look at.
func as2017(value any) any {
	switch v := value.(type) {
	case []any:
		for i := range v {
			v[i] = as2017(v[i])
		}
	case map[string]any:
		for name := range v {
			if !fieldsOf2017()[name] || name == "endpoints" && v["container_id"] != nil { // sandboxes had none
				delete(v, name)
				continue
			}
			v[name] = as2017(v[name])
		}
	}
	return value
}

// TestGolden2017 holds what a client of 2017 sends and gets to a file: paths, bodies,
// statuses, and the JSON of answers, without the fields that came later. Write it anew with
// UPDATE=1.
func TestGolden2017(t *testing.T) {
	d := newDaemon(t)
	const path = "testdata/2017.golden"
	names := []string{}
	hide := func(text string) string { return strings.NewReplacer(names...).Replace(text) }
	show := func(text string) string {
		for i := 0; i < len(names); i += 2 {
			text = strings.ReplaceAll(text, names[i+1], names[i])
		}
		return text
	}
	var got bytes.Buffer
	for _, s := range []struct{ method, path, body, id string }{
		{"GET", "/networks", ``, ""},
		{"POST", "/networks", `{"name":"usual","network_type":"bridge","ipv4_configuration":[{"PreferredPool":"192.0.2.0/24","SubPool":"192.0.2.128/25","Gateway":"192.0.2.1","AuxAddresses":{"a":"192.0.2.9"}}],"driver_opts":{"com.docker.network.driver.mtu":"1400"},"network_opts":{"com.docker.network.internal":"true"}}`, "NETWORK"},
		{"POST", "/v1.0/networks", `{"name":"usual"}`, ""},
		{"GET", "/v1.0/networks?name=usual", ``, ""},
		{"GET", "/networks?name=other", ``, ""},
		{"POST", "/networks/NETWORK/endpoints", `{"name":"web","my_aliases":["www"]}`, "ENDPOINT"},
		{"GET", "/networks/NETWORK", ``, ""},
		{"GET", "/networks/NETWORK/endpoints", ``, ""},
		{"GET", "/networks/NETWORK/endpoints?partial-id=zz", ``, ""},
		{"GET", "/networks/NETWORK/endpoints/ENDPOINT", ``, ""},
		{"POST", "/sandboxes", `{"container_id":"c1","host_name":"one","domain_name":"example","dns":["192.0.2.53"],"extra_hosts":[{"name":"peer","address":"198.51.100.7"}],"exposed_ports":[{"Proto":6,"Port":80}],"port_mapping":[{"Proto":6,"Port":80,"HostIP":"127.0.0.1","HostPort":8080,"HostPortEnd":8080}]}`, "SANDBOX"},
		{"GET", "/sandboxes", ``, ""},
		{"GET", "/sandboxes?container-id=c1", ``, ""},
		{"GET", "/sandboxes?partial-container-id=x", ``, ""},
		{"GET", "/sandboxes/SANDBOX", ``, ""},
		{"POST", "/networks/NETWORK/endpoints/ENDPOINT/sandboxes", `{"sandbox_id":"SANDBOX","aliases":["db:store"]}`, ""},
		{"DELETE", "/networks/NETWORK/endpoints/ENDPOINT", ``, ""},
		{"DELETE", "/networks/NETWORK/endpoints/ENDPOINT/sandboxes/SANDBOX", ``, ""},
		{"POST", "/services", `{"name":"db","my_aliases":["sql"],"network_name":""}`, "SERVICE"},
		{"GET", "/services?network=usual", ``, ""},
		{"GET", "/services/SERVICE", ``, ""},
		{"GET", "/services/SERVICE/backend", ``, ""},
		{"POST", "/services/SERVICE/backend", `{"sandbox_id":"SANDBOX","aliases":[]}`, ""},
		{"GET", "/services/SERVICE/backend", ``, ""},
		{"DELETE", "/services/SERVICE/backend/SANDBOX", ``, ""},
		{"DELETE", "/services/SERVICE", `{"name":"db","force":false}`, ""},
		{"DELETE", "/networks/NETWORK", ``, ""},
		{"DELETE", "/networks/NETWORK/endpoints/ENDPOINT", ``, ""},
		{"DELETE", "/sandboxes/SANDBOX", ``, ""},
		{"DELETE", "/networks/NETWORK", ``, ""},
		{"GET", "/networks/NETWORK", ``, ""},
		{"POST", "/networks", `{`, ""},
	} {
		answer := d.ask(s.method, show(s.path), show(s.body))
		text := answer.Body.String()
		if s.id != "" {
			var id string
			if err := json.Unmarshal([]byte(text), &id); err != nil {
				t.Fatalf("%s %s: %d %s", s.method, s.path, answer.Code, text)
			}
			names = append(names, id, s.id)
		}
		if s.id == "SANDBOX" { // the name of its namespace has the beginning of ids
			sb, err := d.controller.SandboxByID(names[len(names)-2])
			if err != nil {
				t.Fatal(err)
			}
			names = append(names, sb.Key(), "KEY")
		}
		var value any
		if json.Unmarshal([]byte(text), &value) == nil {
			one, err := json.MarshalIndent(as2017(value), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			text = string(one) + "\n"
		}
		fmt.Fprintf(&got, "%s %s %s\n%d %s\n%s\n", s.method, s.path, s.body, answer.Code, answer.Header().Get("Content-Type"), hide(text))
	}
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("the answers differ from %s; write it anew with UPDATE=1:\n%s", path, diff)
	}
}
