package diag_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func encoded(t testing.TB, value any) string {
	t.Helper()
	return string(must[[]byte](t)(json.Marshal(value)))
}

// unpacked returns the files of a bundle.
func unpacked(t testing.TB, o diag.Options) map[string]string {
	t.Helper()
	var out bytes.Buffer
	check(t, diag.Dump(t.Context(), o, &out))
	files := make(map[string]string)
	archive := tar.NewReader(must[*gzip.Reader](t)(gzip.NewReader(&out)))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		check(t, err)
		name, inside := strings.CutPrefix(header.Name, "libnetwork/")
		if !inside || files[name] != "" {
			t.Errorf("file %q is outside of the folder, or there twice", header.Name)
		}
		files[name] = string(must[[]byte](t)(io.ReadAll(archive)))
	}
}

func TestDump(t *testing.T) {
	p := newPatient(t)
	files := unpacked(t, p.options())
	if files["errors.txt"] != "" {
		t.Errorf("errors:\n%s", files["errors.txt"])
	}
	bridge := p.bridge()
	for name, words := range map[string][]string{
		"info.json":                      {p.controller.ID(), `"version": "test"`},
		"config.json":                    {p.data, p.host},
		"records.json":                   {p.network.ID(), p.sandbox.ID()},
		"statistics.json":                {"join endpoint"},
		"events.json":                    {`"create"`, `"join"`},
		"differences.json":               {""},
		"addresses.json":                 {`"gateway"`},
		"findings.json":                  {`"ip-forwarding"`},
		"goroutines.txt":                 {"goroutine "},
		"build.txt":                      {"go1."},
		"host/network.txt":               {"link " + bridge + " bridge mtu 1500 up", "route 0.0.0.0/0 via " + kerneltest.NeighborIPv4, "address " + kerneltest.HostIPv4},
		"host/machine.json":              {"ip_forward", `"Release"`, "nftables"},
		"host/filter.txt":                {"table inet libnetwork-", "inbound ipv4 " + bridge + " published", "publish tcp 0.0.0.0:8080"},
		"host/intents.txt":               {"inbound ipv4 " + bridge + " published", "publish udp [::]:8080"},
		"host/nft.txt":                   {"map inbound4"},
		"host/iptables.txt":              {""},
		"host/resolv.conf":               {"192.0.2.53"},
		"containers/web/network.txt":     {"link eth0 veth", "route 0.0.0.0/0 via "},
		"containers/web/statistics.json": {"RxBytes", "resolver"},
		"containers/web/sockets.json":    {"127.0.0.11"},
		"containers/web/resolv.conf":     {"127.0.0.11"},
		"containers/web/hosts":           {"localhost"},
	} {
		content, found := files[name]
		if !found && words[0] != "" {
			t.Errorf("%s: is missing", name)
		}
		for _, word := range words {
			if !strings.Contains(content, word) {
				t.Errorf("%s: without %q:\n%.2000s", name, word, content)
			}
		}
	}
}

func TestDumpHasNoSecrets(t *testing.T) {
	kerneltest.RequireRoot(t)
	const secret = "correct-horse"
	m := newMachine(t, kerneltest.NewNamespace(t), config.OptionLabels([]string{"com.docker.network.driver.token=" + secret}))
	m.network(t, "web", libnetwork.NetworkOptionLabels(map[string]string{"api-token": secret, "url": "https://me:" + secret + "@example.org/"}))
	must[libnetwork.Sandbox](t)(m.controller.NewSandbox("web", libnetwork.OptionGeneric(map[string]interface{}{"password": secret, "nested": map[string]interface{}{"authKey": secret}})))
	for name, content := range unpacked(t, m.options()) {
		if strings.Contains(content, secret) {
			t.Errorf("%s has the secret", name)
		}
	}
}

// A source that fails is named, and the rest is there.
func TestDumpOfWhatIsBroken(t *testing.T) {
	p := newPatient(t)
	sh(t, p.host, "umount -l "+p.sandbox.Key())
	check(t, os.Remove(filepath.Join(p.run, "resolv.conf")))
	files := unpacked(t, p.options())
	for _, want := range []string{"containers/web/network.txt: ", "host/resolv.conf: "} {
		if !strings.Contains(files["errors.txt"], want) {
			t.Errorf("errors without %q:\n%s", want, files["errors.txt"])
		}
	}
	for _, name := range []string{"records.json", "host/network.txt", "findings.json", "containers/web/hosts"} {
		if files[name] == "" {
			t.Errorf("%s is missing", name)
		}
	}
}

// full is a disk with room for some bytes.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, errors.New("no space left")
	}
	return len(p), nil
}

func TestDumpToAFullDisk(t *testing.T) {
	p := newPatient(t)
	if err := diag.Dump(t.Context(), p.options(), &full{1000}); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("error %v", err)
	}
}
