package server_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/api"
)

// hostile are values that some field is not made for, as JSON.
func hostile() []string {
	long := strings.Repeat("a", 70_000)
	return []string{
		`null`, `true`, `0`, `-1`, `1`, `65535`, `65536`, `1e400`, `1.5`, `18446744073709551616`, `{}`, `[]`, `[null]`, `[[]]`, `[{}]`, `{"":""}`, `{"":null}`, `{"a":{"b":{}}}`,
		`""`, `" "`, `"."`, `".."`, `"/"`, `"../x"`, `"\u0000"`, `"a\nb"`, `"\ud800"`, `"ü̈\u202e"`, `"` + long + `"`, `"%s%n"`, `"-rf"`,
		`"0.0.0.0"`, `"0.0.0.0/0"`, `"255.255.255.255"`, `"255.255.255.255/32"`, `"127.0.0.1"`, `"127.0.0.0/8"`, `"224.0.0.1"`, `"224.0.0.0/4"`, `"::"`, `"::/0"`, `"ff02::1"`, `"fe80::1%eth0"`, `"::ffff:192.0.2.1"`,
		`"::ffff:192.0.2.0/120"`, `"169.254.1.1"`, `"10.0.0.0/31"`, `"10.0.0.0/32"`, `"10.0.0.0/30"`, `"2001:db8::/127"`, `"2001:db8::/8"`,
		`"00:00:00:00:00:00"`, `"ff:ff:ff:ff:ff:ff"`, `"01:00:5e:00:00:01"`, `"02:00:00:00:00:01:02:03"`, `"true"`, `"-1"`, `"99999999999999999999"`, `"bridge"`, `"host"`, `"null"`, `"macvlan"`, `"ipvlan"`, `"process"`, `"usual"`, `"c"`,
		`["192.0.2.1"]`, `["::"]`, `["fe80::1%lo"]`, `["a\nb"]`, `["a:b"]`, `[":"]`, `["80/tcp"]`, `["0/tcp"]`, `["1-65535/udp"]`, `["` + long + `"]`, `["x","x"]`,
		`[{"name":"a\nb","address":"192.0.2.1"}]`, `[{"name":"","address":"host-gateway"}]`, `[{"name":"h","address":"::1%lo"}]`,
		`[{"container_port":80,"container_port_end":70}]`, `[{"container_port":80,"host_port_end":9}]`, `[{"container_port":80,"protocol":"icmp"}]`, `[{"container_port":80,"host_ip":"::"}]`, `[{"container_port":80,"host_ip":"224.0.0.1","host_port":1}]`,
		`[{"container_port":80,"host_port":22},{"container_port":80,"host_port":22}]`, `[{"Proto":6,"Port":80,"IP":"224.0.0.1"}]`, `[{"Proto":0,"Port":0}]`, `[{"Proto":132,"Port":1,"HostPort":65535,"HostPortEnd":1}]`, `[{"Proto":6,"Port":1,"HostIP":"ff02::1","HostPort":1}]`,
		`[{"PreferredPool":"10.9.0.0/24","Gateway":"10.9.0.0"}]`, `[{"PreferredPool":"10.9.0.0/24","Gateway":"10.9.0.255"}]`, `[{"PreferredPool":"10.9.0.0/24","AuxAddresses":{"":"10.9.0.1","b":"10.9.0.1"}}]`,
		`[{"PreferredPool":"10.9.0.0/24"},{"PreferredPool":"10.9.0.0/24"}]`, `[{"PreferredPool":"0.0.0.0/0"}]`, `[{"PreferredPool":"10.9.0.0/32"}]`, `[{"PreferredPool":"127.0.0.0/8"}]`, `[{"PreferredPool":"224.0.0.0/24"}]`, `[{"PreferredPool":"2001:db8::/64"}]`,
		`[{"PreferredPool":"fe80::/64"}]`, `[{"PreferredPool":"2001:db8::/127"}]`, `[{"SubPool":"10.9.0.0/24"}]`, `[{"Gateway":"10.9.0.1"}]`, `[{"PreferredPool":"::ffff:10.9.0.0/120"}]`, `[{"PreferredPool":"2001:db8::/0"}]`, `[{"PreferredPool":"10.9.0.0/24","Gateway":"10.9.0.1","AuxAddresses":{"a":"10.9.0.1"}}]`,
	}
}

// hostileOptions are those of drivers, of which a value of a map may be the name.
func hostileOptions() []string {
	var out []string
	for _, key := range []string{
		"com.docker.network.bridge.name", "com.docker.network.driver.mtu", "com.docker.network.container_iface_prefix", "com.docker.network.bridge.host_binding_ipv4",
		"com.docker.network.bridge.gateway_mode_ipv4", "com.docker.network.bridge.trusted_host_interfaces", "com.docker.network.host_ipv4", "com.docker.network.endpoint.sysctls",
		"com.docker.network.endpoint.ifname", "com.docker.network.portmap", "com.docker.network.endpoint.exposedports", "com.docker.network.endpoint.macaddress", "com.docker.network.generic",
		"com.docker.network.enable_ipv6", "com.docker.network.enable_ipv4", "com.docker.network.internal", "com.docker.network.gateway", "parent", "macvlan_mode", "ipvlan_mode", "ipvlan_flag",
		"com.docker.network.advertise_addr_nmsgs", "com.docker.network.advertise_addr_ms", "com.docker.network.bridge.inhibit_ipv4", "RequestAddressType",
	} {
		for _, value := range []string{"", " ", "lo", "lo/../x", "a\nb", "-1", "0", "1", "67", "65536", "99999999999999999999", "true", "0.0.0.0", "::", "224.0.0.1", "nat", "routed", "isolated", "net.ipv4.conf.IFNAME.x=1", strings.Repeat("x", 300)} {
			text, _ := json.Marshal(map[string]string{key: value})
			out = append(out, string(text))
		}
	}
	return out
}

// targets are the routes with bodies, with a value of the body's type and a body that does.
func targets() map[string]struct {
	of   any
	base string
} {
	return map[string]struct {
		of   any
		base string
	}{
		"POST /networks":                             {api.NetworkCreate{}, `{"name":"f","network_type":"bridge"}`},
		"POST /networks/usual/endpoints":             {api.EndpointCreate{}, `{"name":"x"}`},
		"POST /networks/usual/connect":               {api.NetworkConnect{}, `{"container":"c","name":"x"}`},
		"POST /networks/usual/disconnect":            {api.NetworkDisconnect{}, `{"container":"c"}`},
		"POST /networks/usual/endpoints/e/sandboxes": {api.EndpointJoin{}, `{"sandbox_id":"c"}`},
		"POST /services":                             {api.ServiceCreate{}, `{"name":"x"}`},
		"POST /services/e/backend":                   {api.EndpointJoin{}, `{"sandbox_id":"c"}`},
		"DELETE /services/e":                         {api.ServiceDelete{}, `{"name":"e"}`},
		"POST /sandboxes":                            {api.SandboxCreate{}, `{"container_id":"x"}`},
		"POST /sandboxes/foreign/key":                {api.SandboxKey{}, `{"key":"/proc/self/ns/net"}`},
	}
}

// fieldNames are those of a body, with what they hold.
func fieldNames(t reflect.Type) map[string]reflect.Type {
	out := make(map[string]reflect.Type)
	for i := range t.NumField() {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && name == "" {
			maps.Copy(out, fieldNames(field.Type))
			continue
		}
		out[name] = field.Type
	}
	return out
}

// furnish makes what the targets are about: a network, an endpoint, and two sandboxes.
func (d *daemon) furnish() {
	d.ask("POST", "/networks", `{"name":"usual","enable_ipv6":true}`)
	d.ask("POST", "/networks/usual/endpoints", `{"name":"e"}`)
	d.ask("POST", "/sandboxes", `{"container_id":"c"}`)
	d.ask("POST", "/sandboxes", `{"container_id":"foreign","use_external_key":true}`)
}

// clear deletes all but the networks that stay, and what cannot be deleted is an error.
func (d *daemon) clear(t testing.TB) {
	t.Helper()
	for _, sb := range d.controller.Sandboxes() {
		if err := sb.Delete(); err != nil {
			t.Error(err)
		}
	}
	for _, n := range d.controller.Networks() {
		for _, ep := range n.Endpoints() {
			if err := ep.Delete(true); err != nil {
				t.Error(err)
			}
		}
		if n.Name() != "usual" && n.Type() != "host" && n.Type() != "null" {
			if err := n.Delete(); err != nil {
				t.Error(err)
			}
		}
	}
}

// isPath reports whether a field is the path of a file that the daemon writes. Such a field
// gets none of the values above, which could be files of this machine.
func isPath(field string) bool { return field == "hosts_path" || field == "resolv_conf_path" }

// takeBack deletes what an answer says was made, and otherwise makes everything anew.
func (d *daemon) takeBack(t testing.TB, route, answer string) {
	t.Helper()
	var id string
	var joined api.Endpoint
	_ = json.Unmarshal([]byte(answer), &joined) // most answers are no objects
	_ = json.Unmarshal([]byte(answer), &id)
	path := map[string]string{
		"POST /networks": "/networks/" + id, "POST /sandboxes": "/sandboxes/" + id, "POST /services": "/endpoints/" + id + "?force=true",
		"POST /networks/usual/endpoints": "/endpoints/" + id + "?force=true", "POST /networks/usual/connect": "/endpoints/" + joined.ID + "?force=true",
	}[route]
	if path == "" {
		d.clear(t)
		d.furnish()
		return
	}
	if deleted := d.ask("DELETE", path, ""); deleted.Code != 200 && deleted.Code != 403 { // networks of some drivers stay
		t.Errorf("%s: DELETE %s: %d %s", route, path, deleted.Code, deleted.Body)
	}
}

// TestHostileBodies puts each hostile value into each field of each body: whatever comes,
// nothing fails for a reason of our own, and what was made can be deleted.
func TestHostileBodies(t *testing.T) {
	d := newDaemon(t)
	d.furnish()
	requests, made := 0, 0
	for route, target := range targets() {
		method, path, _ := strings.Cut(route, " ")
		fields := fieldNames(reflect.TypeOf(target.of))
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			values := hostile()
			if name == "driver_opts" || name == "network_opts" {
				values = append(values, hostileOptions()...)
			}
			switch {
			case isPath(name):
				values = places(t)
			case name == "key":
				values = append(values, append(places(t), `"/proc/self/ns/mnt"`, `"/proc/self/mem"`, `"/dev/null"`)...)
			}
			for _, value := range values {
				var body map[string]json.RawMessage
				if err := json.Unmarshal([]byte(target.base), &body); err != nil {
					t.Fatal(err)
				}
				body[name] = json.RawMessage(value)
				text := encodeRaw(body)
				answer := d.ask(method, path, text)
				requests++
				if answer.Code == http.StatusInternalServerError || answer.Code < 200 {
					t.Errorf("%s %.300s: %d %.500s", route, text, answer.Code, answer.Body)
				}
				if answer.Code < 300 {
					made++
					d.takeBack(t, route, answer.Body.String())
				}
			}
		}
	}
	t.Logf("%d requests, %d of them did something", requests, made)
	d.clear(t)
}

// places are paths, as JSON, that cannot be those of a file.
func places(t testing.TB) []string {
	t.Helper()
	folder := t.TempDir()
	pipe, file, large, loop := filepath.Join(folder, "pipe"), filepath.Join(folder, "file"), filepath.Join(folder, "large"), filepath.Join(folder, "loop")
	err := errors.Join(syscall.Mkfifo(pipe, 0o600), os.WriteFile(file, nil, 0o600), os.WriteFile(large, nil, 0o600), os.Truncate(large, 1<<30), os.Symlink(loop, loop))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, path := range []string{folder, pipe, large, loop, filepath.Join(file, "below"), filepath.Join(folder, strings.Repeat("x", 300)), "/" + strings.Repeat("x/", 5000), "relative"} {
		text, _ := json.Marshal(path)
		out = append(out, string(text))
	}
	return out
}

// TestPlacesThatAreNoFiles: a pipe must not be waited for, nor a large file be read.
func TestPlacesThatAreNoFiles(t *testing.T) {
	d := newDaemon(t)
	for _, field := range []string{"hosts_path", "resolv_conf_path"} {
		for _, place := range places(t) {
			answered := make(chan string, 1)
			go func() {
				answer := d.ask("POST", "/sandboxes", fmt.Sprintf(`{"container_id":"x",%q:%s}`, field, place))
				answered <- fmt.Sprint(answer.Code, " ", answer.Body)
			}()
			select {
			case answer := <-answered:
				if !strings.HasPrefix(answer, "400 ") {
					t.Errorf("%s %.100s: %.300s", field, place, answer)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%s %.100s: no answer", field, place)
			}
		}
	}
}

// encodeRaw writes an object as it is, also with values that are no JSON.
func encodeRaw(fields map[string]json.RawMessage) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		parts = append(parts, fmt.Sprintf("%q:%s", name, fields[name]))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// TestHostileQueries puts hostile texts into paths and parameters of all methods.
func TestHostileQueries(t *testing.T) {
	d := newDaemon(t)
	d.furnish()
	texts := []string{"", " ", ".", "..", "/", "\x00", "\n", "a/b", "%", "é", strings.Repeat("a", 5000), "usual", "c", "-1", "1e9", "true", "=", "k=", "=v", "[::1]", "fe80::1%lo", "_http._tcp.web", "*.usual", strings.Repeat("a.", 200), "18446744073709551616"}
	for pattern, operations := range decodedDocument(t)["paths"].(map[string]any) {
		if pattern == "/events" || strings.HasPrefix(pattern, "/debug") {
			continue
		}
		for method, operation := range operations.(map[string]any) {
			var names []string
			for _, p := range parametersOf(operation) {
				names = append(names, p["name"].(string))
			}
			for _, text := range texts {
				for _, name := range names {
					path, query := pattern, url.Values{}
					if strings.Contains(pattern, "{"+name+"}") {
						path = strings.ReplaceAll(path, "{"+name+"}", url.PathEscape(text))
					} else {
						query.Set(name, text)
					}
					path = strings.NewReplacer("{network}", "usual", "{endpoint}", "e", "{sandbox}", "c").Replace(path)
					answer := d.ask(strings.ToUpper(method), path+"?"+query.Encode(), "")
					if answer.Code >= 500 && answer.Code != http.StatusNotImplemented {
						t.Errorf("%s %.200s?%.200s: %d %.300s", method, path, query.Encode(), answer.Code, answer.Body)
					}
					if method != "get" && answer.Code < 300 {
						d.clear(t)
						d.furnish()
					}
				}
			}
		}
	}
	d.clear(t)
}

func parametersOf(operation any) []map[string]any {
	var out []map[string]any
	all, _ := operation.(map[string]any)["parameters"].([]any)
	for _, p := range all {
		out = append(out, p.(map[string]any))
	}
	return out
}
