package server_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork/api/server"
)

// step is a request with what its answer must be. Names in braces stand for values that
// earlier steps have saved.
type step struct {
	method, path, body string
	status             int
	// like is a pattern that the answer's body must match.
	like string
	// save is the name under which an answer that is a text is kept.
	save string
}

// story uses each route, with the errors that it can meet.
func story() []step {
	return []step{
		{"GET", "/networks", "", 200, `^\[\]\n$`, ""},
		{"POST", "/networks", `{"name":"usual"}`, 201, `^"[0-9a-f]{64}"\n$`, "usual"},
		{"POST", "/networks", `{"name":"usual"}`, 403, `the name is in use`, ""},
		{"POST", "/networks", `{"name":" "}`, 400, `name " "`, ""},
		{"POST", "/networks", `{"name":"x","network_type":"nothing"}`, 404, `no such driver`, ""},
		{"POST", "/networks", `{"name":"x","ipv4_configuration":[{"PreferredPool":"192.0.2.7/24"}]}`, 400, `did you mean`, ""},
		{"POST", "/networks", `{"name":7}`, 400, `field "name"`, ""},
		{"POST", "/networks", `{"name":"x"} {}`, 400, `more behind`, ""},
		{"POST", "/networks", `{`, 400, `body`, ""},
		{"POST", "/networks", ``, 400, `is empty`, ""},
		{"POST", "/networks", `{"name":"x","network_opts":{"com.docker.network.internal":"perhaps"}}`, 400, `want true or false`, ""},
		{
			"POST", "/networks", `{"name":"full","id":"0123","network_type":"bridge","ipv4_configuration":[{"PreferredPool":"192.0.2.0/24","SubPool":"192.0.2.128/25","Gateway":"192.0.2.1","AuxAddresses":{"printer":"192.0.2.9"}}],` +
				`"driver_opts":{"com.docker.network.driver.mtu":"1400"},"network_opts":{"com.docker.network.internal":"true","com.docker.network.enable_ipv6":"true"},"labels":{"team":"blue"}}`,
			201, `^"0123"`, "",
		},
		{"GET", "/networks/full", "", 200, `"internal":true.*"pool":"192.0.2.0/24","range":"192.0.2.128/25","gateway":"192.0.2.1","used":2,"available":127,"holders":\[.*"kind":"auxiliary","name":"printer"`, ""},
		{"GET", "/networks?name=full", "", 200, `^\[\{"name":"full","id":"0123","type":"bridge","endpoints":\[\]`, ""},
		{"GET", "/networks?partial-id=01", "", 200, `"name":"full"`, ""},
		{"GET", "/networks?label=team=blue&driver=bridge&scope=local", "", 200, `"name":"full"`, ""},
		{"GET", "/networks?label=team=red", "", 200, `^\[\]`, ""},
		{"GET", "/networks?lable=team", "", 400, `does not know it`, ""},
		{"GET", "/networks/nothing", "", 404, `network "nothing": not found`, ""},
		{"PATCH", "/networks", "", 405, `method "PATCH"`, ""},
		{"GET", "/nothing", "", 404, `no such route`, ""},

		{"POST", "/networks/usual/endpoints", `{"name":"web","my_aliases":["www"],"ports":[{"container_port":80,"host_port":8080}],"exposed_ports":["443"],"labels":{"tier":"front"}}`, 201, `^"[0-9a-f]{64}"`, "web"},
		{"POST", "/networks/usual/endpoints", `{"name":"web"}`, 403, `of that name`, ""},
		{"POST", "/networks/nothing/endpoints", `{"name":"web"}`, 404, `network "nothing"`, ""},
		{"POST", "/networks/usual/endpoints", `{"name":"x","ipv4":"not an address"}`, 400, `field "ipv4"`, ""},
		{"POST", "/networks/usual/endpoints", `{"name":"x","ports":[{"container_port":0}]}`, 400, `want a number from 1`, ""},
		{"POST", "/networks/usual/endpoints", `{"name":"x","ports":[{"container_port":70000}]}`, 400, `field "ports": a number 70000 does not fit; want a whole number from 0 to 65535`, ""},
		{"POST", "/networks/usual/endpoints", `{"name":"x","ports":[{"container_port":80,"host_ip":"here"}]}`, 400, `field "ports".*here`, ""},
		{"POST", "/networks/usual/connect", `{"name":7}`, 400, `field "name": a number does not fit; want a string`, ""},
		{"POST", "/networks/usual/endpoints", `{"name":"x","mac":"zz"}`, 400, `zz`, ""},
		{"POST", "/networks/usual/endpoints", `{"name":"x","exposed_ports":["8080:80"]}`, 400, `exposed port`, ""},
		{"GET", "/networks/usual/endpoints", "", 200, `^\[\{"name":"web","id":"{web}","network":"usual"`, ""},
		{"GET", "/networks/usual/endpoints?name=web", "", 200, `"name":"web"`, ""},
		{"GET", "/networks/usual/endpoints?name=other", "", 200, `^\[\]`, ""},
		{"GET", "/networks/usual/endpoints/web", "", 200, `"container_port":80,"host_port":8080`, ""},
		{"GET", "/networks/full/endpoints/web", "", 404, `endpoint "web"`, ""},
		{"GET", "/endpoints?label=tier&network=usual", "", 200, `"name":"web"`, ""},
		{"GET", "/endpoints/web.usual", "", 200, `"name":"web"`, ""},

		{"POST", "/services", `{"name":"db","my_aliases":["sql"]}`, 201, `^"[0-9a-f]{64}"`, "db"},
		{"POST", "/services", `{"name":"db","network_name":"full"}`, 201, ``, "db2"},
		{"POST", "/services", `{"name":"db","network_name":"nothing"}`, 404, `network "nothing"`, ""},
		{"GET", "/services/db", "", 400, `is ambiguous; name one of`, ""},
		{"GET", "/services/db.full", "", 200, `"network":"full"`, ""},
		{"GET", "/services?network=full", "", 200, `^\[\{"name":"db","id":"{db2}"`, ""},
		{"GET", "/services/{db}/backend", "", 200, `^\[\]`, ""},

		{"POST", "/sandboxes", `{"container_id":"c1","host_name":"one","extra_hosts":[{"name":"peer","address":"198.51.100.7"}],"labels":{"zone":"a"}}`, 201, `^"[0-9a-f]{64}"`, "c1"},
		{"POST", "/sandboxes", `{"container_id":"c1"}`, 403, `has a sandbox already`, ""},
		{"POST", "/sandboxes", `{"container_id":""}`, 400, `container id`, ""},
		{"POST", "/sandboxes", `{"container_id":"x","dns":["nowhere"]}`, 400, `name server`, ""},
		{"POST", "/sandboxes", `{"container_id":"x","hosts_path":"relative"}`, 400, `must be absolute`, ""},
		{"POST", "/sandboxes", `{"container_id":"x","lifetime":"eternal"}`, 400, `lifetime "eternal"`, ""},
		{"POST", "/sandboxes", `{"container_id":"x","owner_pid":1}`, 400, `needs lifetime "process"`, ""},
		{"POST", "/sandboxes", `{"container_id":"x","lifetime":"process","owner_pid":-1}`, 400, `owner_pid -1`, ""},
		{"POST", "/sandboxes", `{"container_id":"owned","lifetime":"process","owner_pid":4711}`, 201, ``, "owned"},
		{"GET", "/sandboxes/owned", "", 200, `"lifetime":"process","owner_pid":4711`, ""},
		{"DELETE", "/sandboxes/owned", "", 200, ``, ""},
		{"POST", "/sandboxes", `{"container_id":"x","labels":{"dnet.owner.pid":"1"}}`, 400, `the daemon's own`, ""},
		{"POST", "/sandboxes", `{"container_id":"mortal","lifetime":"process","port_mapping":[{"Proto":6,"Port":81,"HostIP":"127.0.0.1","HostPort":8081}],"exposed_ports":[{"Proto":17,"Port":53}]}`, 201, ``, "mortal"},
		{"GET", "/sandboxes/mortal", "", 200, `"exposed_ports":\["53/udp"\],"ports":\[\{"protocol":"tcp","container_port":81,"host_ip":"127.0.0.1","host_port":8081`, ""},
		{"GET", "/sandboxes/mortal", "", 200, `"lifetime":"process","owner_pid":[0-9]+`, ""},
		{"POST", "/sandboxes", `{"container_id":"foreign","use_external_key":true}`, 201, ``, "foreign"},
		{"POST", "/sandboxes/foreign/key", `{"key":""}`, 400, `key is empty`, ""},
		{"POST", "/sandboxes/foreign/key", `{"key":"/nowhere"}`, 404, `/nowhere`, ""},
		{"POST", "/sandboxes/foreign/key", `{"key":"/proc/self/ns/net"}`, 200, `netns/`, ""},
		{"POST", "/sandboxes/c1/key", `{"key":"/proc/self/ns/net"}`, 403, `namespace of its own`, ""},
		{"GET", "/sandboxes", "", 200, `^\[\{"id":"{c1}","key":"[^"]+","container_id":"c1"`, ""},
		{"GET", "/sandboxes?container-id=c1&label=zone=a", "", 200, `"container_id":"c1"`, ""},
		{"GET", "/sandboxes?partial-container-id=mor", "", 200, `^\[\{"id":"{mortal}"`, ""},
		{"GET", "/sandboxes/nobody", "", 404, `sandbox "nobody"`, ""},

		{"POST", "/networks/usual/endpoints/web/sandboxes", `{"sandbox_id":"{c1}","aliases":["db:store"]}`, 200, `^"/.*netns/`, ""},
		{"POST", "/networks/usual/endpoints/web/sandboxes", `{"sandbox_id":"{c1}"}`, 403, `in the sandbox already`, ""},
		{"POST", "/networks/usual/endpoints/web/sandboxes", `{"sandbox_id":"nobody"}`, 404, `sandbox "nobody"`, ""},
		{"POST", "/services/{db}/backend", `{"sandbox_id":"mortal","aliases":["wrong"]}`, 400, `want container:alias`, ""},
		{"POST", "/services/{db}/backend", `{"sandbox_id":"mortal"}`, 200, `netns/`, ""},
		{"GET", "/services/{db}/backend", "", 200, `^\[\{"id":"{mortal}"`, ""},
		{"GET", "/endpoints?container=mortal", "", 200, `"name":"db"`, ""},
		{"GET", "/sandboxes/c1/resolve?name=store", "", 200, `"source":"network","answers":\["172.*"networks":\["usual"\]`, ""},
		{"GET", "/sandboxes/c1/resolve?name=sql.usual", "", 200, `"source":"network"`, ""},
		{"GET", "/sandboxes/c1/resolve", "", 400, `is missing`, ""},
		{"GET", "/sandboxes/foreign/resolve?name=db", "", 200, `"source":"none"`, ""},
		{"GET", "/sandboxes/c1/statistics", "", 200, `"interfaces":\[\{"name":"eth0","network":"usual"`, ""},
		{"GET", "/statistics", "", 200, `"container_id":"c1"`, ""},
		{"DELETE", "/networks/usual", "", 403, `has endpoints`, ""},
		{"DELETE", "/networks/usual/endpoints/web", "", 403, `leave it first, or force`, ""},
		{"DELETE", "/endpoints/{web}?force=perhaps", "", 400, `want true or false`, ""},
		{"DELETE", "/networks/usual/endpoints/web/sandboxes/mortal", "", 403, `in another sandbox`, ""},
		{"DELETE", "/networks/usual/endpoints/web/sandboxes/c1", "", 200, `^$`, ""},
		{"DELETE", "/networks/usual/endpoints/web", "", 200, `^$`, ""},
		{"DELETE", "/services/{db}", `{"name":"other"}`, 400, `the body says "other"`, ""},
		{"DELETE", "/services/{db}", ``, 403, `leave it first, or force`, ""},
		{"DELETE", "/services/{db}/backend/mortal", "", 200, `^$`, ""},
		{"DELETE", "/services/{db}", `{"name":"db","force":true}`, 200, `^$`, ""},
	}
}

// connectStory goes on with what one request connects, and deletes the networks.
func connectStory() []step {
	return []step{
		{"POST", "/networks/full/connect", `{"container":"c1","ipv4":"192.0.2.77","aliases":{"me":"c1"},"priority":3}`, 201, `"name":"c1".*"addresses":\["192.0.2.77/24"`, ""},
		{"POST", "/networks/full/connect", `{"container":"nobody"}`, 404, `sandbox "nobody"`, ""},
		{"POST", "/networks/full/connect", `{"container":"mortal","name":"twice","ipv4":"192.0.2.77"}`, 403, `192.0.2.77`, ""},
		{"GET", "/endpoints/twice", "", 404, `twice`, ""},
		{"POST", "/networks/full/connect", `{"container":"c1","sandbox":{"container_id":"c9"}}`, 400, `container "c1": is there beside`, ""},
		{"POST", "/networks/full/connect", `{"sandbox":{"container_id":"c1"}}`, 403, `has a sandbox already`, ""},
		{"POST", "/networks/full/connect", `{"sandbox":{"container_id":"c9","dns":["nowhere"]}}`, 400, `name server`, ""},
		{"POST", "/networks/full/connect", `{"sandbox":{"container_id":"c9"},"ipv4":"192.0.2.77"}`, 403, `192.0.2.77`, ""},
		{"POST", "/networks/full/connect", `{"sandbox":{"container_id":"c9"},"network_labels":{"team":"red"}}`, 404, `without the label team=red`, ""},
		{"GET", "/sandboxes/c9", "", 404, `sandbox "c9"`, ""},
		{"POST", "/networks/full/connect", `{"sandbox":{"container_id":"c9","lifetime":"process"},"network_labels":{"team":"blue"}}`, 201, `"name":"c9".*"container_id":"c9".*"network_links":\["`, ""},
		{"GET", "/sandboxes/c9", "", 200, `"lifetime":"process".*"network":"full"`, ""},
		{"DELETE", "/sandboxes/c9", "", 200, `^$`, ""},
		{"POST", "/networks/full/disconnect", `{"container":"mortal"}`, 404, `is not in`, ""},
		{"POST", "/networks/full/disconnect", `{"container":"c1"}`, 200, `^$`, ""},
		{"DELETE", "/endpoints/db.full?force=true", "", 200, `^$`, ""},
		{"POST", "/networks/prune?label=team=red", "", 200, `"deleted":\[\]`, ""},
		{"POST", "/networks/prune", "", 200, `"deleted":\[\{"name":"full"`, ""},
		{"GET", "/networks", "", 200, `^\[\{"name":"usual"`, ""},
	}
}

// systemStory is about the daemon as a whole, and ends with nothing left.
func systemStory() []step {
	return []step{
		{"GET", "/info", "", 200, `"version":"1.2.3".*"default_network":"usual".*"firewall":"nftables"`, ""},
		{"GET", "/version", "", 200, `"1.2.3"`, ""},
		{"GET", "/health", "", 200, `"healthy":true`, ""},
		{"GET", "/doctor", "", 200, `"check":"one"`, ""},
		{"GET", "/why?from=c1&to=mortal&port=80", "", 200, `"protocol":"tcp"`, ""},
		{"GET", "/why?from=c1", "", 400, `want from=A and to=B`, ""},
		{"GET", "/why?from=c1&to=x&port=70000", "", 400, `want a number`, ""},
		{"POST", "/repair?dry-run=true", "", 200, `"dry_run":true,"differences":\[\]`, ""},
		{"POST", "/repair", "", 200, `"dry_run":false`, ""},
		{"GET", "/events?after=x", "", 400, `want the number of an event`, ""},
		{"GET", "/metrics", "", 200, `metric 1`, ""},
		{"GET", "/openapi.json", "", 200, `"openapi":"3.1.0"`, ""},
		{"GET", "/debug/state", "", 200, `records`, ""},
		{"GET", "/debug/goroutines", "", 200, `goroutine `, ""},
		{"GET", "/debug/bundle", "", 200, `^bundle$`, ""},
		{"DELETE", "/sandboxes/c1", "", 200, `^$`, ""},
		{"DELETE", "/sandboxes/c1", "", 404, `sandbox "c1"`, ""},
		{"DELETE", "/sandboxes/mortal", "", 200, `^$`, ""},
		{"DELETE", "/sandboxes/foreign", "", 200, `^$`, ""},
		{"DELETE", "/networks/{usual}", "", 200, `^$`, ""},
		{"DELETE", "/networks/{usual}", "", 404, `not found`, ""},
	}
}

// TestConformance tells the story with errors as text and as JSON, and with and without a
// version, and holds each answer to the document.
func TestConformance(t *testing.T) {
	document := decodedDocument(t)
	for _, prefix := range []string{"", "/v1.0"} {
		for _, accept := range []string{"*/*", "application/json"} {
			t.Run(fmt.Sprintf("prefix=%q/accept=%s", prefix, accept), func(t *testing.T) {
				d := newDaemon(t)
				saved, used := make(map[string]string), make(map[string]bool)
				fill := func(text string) string {
					for name, value := range saved {
						text = strings.ReplaceAll(text, "{"+name+"}", value)
					}
					return text
				}
				for i, s := range slices.Concat(story(), connectStory(), systemStory()) {
					path := fill(s.path)
					answer := d.ask(s.method, prefix+path, fill(s.body), "Accept: "+accept)
					text := answer.Body.String()
					if answer.Code != s.status || !regexp.MustCompile("(?s)"+fill(s.like)).MatchString(unquoted(text, answer.Code)) {
						t.Errorf("step %d: %s %s %s:\ngot  %d %s\nwant %d %s", i, s.method, path, s.body, answer.Code, text, s.status, s.like)
					}
					if s.save != "" {
						saved[s.save] = strings.Trim(text, "\"\n")
					}
					if answer.Code >= 400 {
						wantsJSON := accept == "application/json"
						if isJSON := strings.HasPrefix(text, "{"); isJSON != wantsJSON {
							t.Errorf("step %d: error %q: as JSON: %v, want %v", i, text, isJSON, wantsJSON)
						}
					}
					name, operation := operationOf(document, s.method, path)
					if operation == nil {
						continue
					}
					used[name] = true
					if err := checkAnswer(document, operation, answer); err != nil {
						t.Errorf("step %d: %s: %v", i, name, err)
					}
				}
				for pattern, operations := range document["paths"].(map[string]any) {
					for method := range operations.(map[string]any) {
						if name := strings.ToUpper(method) + " " + pattern; !used[name] && pattern != "/events" {
							t.Errorf("the story does not use %s", name)
						}
					}
				}
			})
		}
	}
}

// unquoted makes an error in JSON as readable as one in text.
func unquoted(text string, status int) string {
	var e struct{ Message string }
	if status >= 400 && json.Unmarshal([]byte(text), &e) == nil {
		return e.Message
	}
	return text
}

func decodedDocument(t *testing.T) map[string]any {
	t.Helper()
	text, err := json.Marshal(server.Document("1.2.3"))
	if err != nil {
		t.Fatal(err)
	}
	var document map[string]any
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	return document
}

// TestDocumentIsWritten keeps the file that people read equal to what is served. Write it
// anew with UPDATE=1.
func TestDocumentIsWritten(t *testing.T) {
	const path = "../openapi.json"
	text, err := json.MarshalIndent(server.Document(""), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if os.Getenv("UPDATE") != "" {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(written) != string(text) {
		t.Errorf("%s is not what the server says; write it anew with UPDATE=1", path)
	}
}
