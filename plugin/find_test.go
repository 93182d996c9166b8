package plugin_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestNames(t *testing.T) {
	p := plugintest.Start(t, "first", "NetworkDriver")
	nested := plugintest.New(t, "nested", "NetworkDriver")
	nested.Folder = filepath.Join(p.Folder, "nested")
	if err := os.Mkdir(nested.Folder, 0o755); err != nil {
		t.Fatal(err)
	}
	nested.Start()
	specs := filepath.Join(p.Folder, "specs")
	for _, name := range []string{"b.spec", "a.json", "first.spec", "text.txt", ".spec", "-x.json", "a b.spec"} {
		write(t, filepath.Join(specs, name), "unix://"+p.Socket())
	}
	write(t, filepath.Join(p.Folder, "file.sock"), "")
	write(t, filepath.Join(p.Folder, "empty", "x"), "")
	r := plugin.New(plugin.Options{
		SocketFolders: []string{p.Folder, filepath.Join(p.Folder, "absent")}, SpecFolders: []string{specs, filepath.Join(p.Folder, "absent")}, RetryFor: -1,
	})
	defer r.Close() //nolint:errcheck // it returns none
	got, err := r.Names(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "b", "first", "nested"}, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"first", "nested", "b"} {
		if found, err := r.Get(t.Context(), name, "NetworkDriver"); err != nil || found.Name() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := r.Get(t.Context(), "a", "NetworkDriver"); !errors.Is(err, cnm.Invalid) {
		t.Errorf("a path where JSON should be: error %v", err)
	}
}

func TestBadNames(t *testing.T) {
	p := plugintest.Start(t, "p", "NetworkDriver")
	r := registry(t, p)
	for _, name := range []string{"", ".", "..", "a/b", "../p", "/p", "p\x00", "p ", ".p", "-p", strings.Repeat("p", 65), "ü", "p\n", "a\\b", "a:b", "%70"} {
		if _, err := r.Get(t.Context(), name, "NetworkDriver"); !errors.Is(err, cnm.Invalid) {
			t.Errorf("%q: error %v", name, err)
		}
	}
	_, err := r.Get(t.Context(), "q", "NetworkDriver")
	for _, says := range []string{`plugin "q": there is none of "`, "/q.sock", "/q/q.sock", "/q.spec", "/q.json", "start the plugin"} {
		if !errors.Is(err, cnm.NotFound) || !strings.Contains(err.Error(), says) {
			t.Errorf("error %v, want the words %q", err, says)
		}
	}
}

func TestAddresses(t *testing.T) {
	p := plugintest.Start(t, "real", "NetworkDriver")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	byTCP := plugintest.New(t, "tcp", "NetworkDriver")
	byTCP.Serve(listener)
	at := listener.Addr().String()
	write(t, filepath.Join(p.Folder, "folder", "x"), "")
	r := registry(t, p)
	for content, kind := range map[string]cnm.Kind{ // empty: it works
		"unix://" + p.Socket(): "", "  unix://" + p.Socket() + "\n\n": "", "tcp://" + at: "", "http://" + at: "", "tcp://" + at + "/": "",
		"": cnm.Invalid, p.Socket(): cnm.Invalid, "unix://relative.sock": cnm.Invalid, "unix:relative": cnm.Invalid, "ftp://" + at: cnm.Invalid,
		"tcp://127.0.0.1": cnm.Invalid, "tcp://:80": cnm.Invalid, "tcp://" + at + "/path": cnm.Invalid, "tcp://u:p@" + at: cnm.Invalid,
		"tcp://" + at + "?q": cnm.Invalid, "tcp://" + at + "\ntcp://" + at: cnm.Invalid, "unix:///x.sock\x00": cnm.Invalid,
		"unix:///" + strings.Repeat("x/", 53) + "s": cnm.Invalid,
		"https://" + at: cnm.Forbidden, "unix://" + filepath.Join(p.Folder, "folder"): cnm.Invalid, strings.Repeat("x", 64<<10+1): cnm.Invalid,
	} {
		write(t, filepath.Join(p.Folder, "s.spec"), content)
		if _, err := r.Get(t.Context(), "s", "NetworkDriver"); kind == "" && err != nil || kind != "" && !errors.Is(err, kind) {
			t.Errorf("%.60q: error %v, want kind %q", content, err, kind)
		}
	}
	if err := os.Remove(filepath.Join(p.Folder, "s.spec")); err != nil {
		t.Fatal(err)
	}
	for content, kind := range map[string]cnm.Kind{
		`{"Name":"s","Addr":"unix://` + p.Socket() + `"}`: "", `{"Addr":"tcp://` + at + `","TLSConfig":null}`: "",
		`{"Addr":"unix://` + p.Socket() + `","TLSConfig":{}}`: cnm.Invalid, `{}`: cnm.Invalid, `[]`: cnm.Invalid, `{"Addr":1}`: cnm.Invalid,
		`{"Addr":"tcp://` + at + `","TLSConfig":{}}`:                                     cnm.Forbidden,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"CAFile":"/nonexistent"}}`:              cnm.NotFound,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"CAFile":"relative"}}`:                  cnm.Invalid,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"CertFile":"/a"}}`:                      cnm.Invalid,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"CertFile":"/a/none","KeyFile":"/b"}}`:  cnm.NotFound,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"CAFile":"` + p.Folder + `/s.json"}}`:   cnm.Invalid,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"InsecureSkipVerify":"yes"}}`:           cnm.Invalid,
		`{"Addr":"tcp://` + at + `","TLSConfig":{"CAFile":"` + p.Folder + `/s.json/a"}}`: cnm.NotFound,
	} {
		write(t, filepath.Join(p.Folder, "s.json"), content)
		if _, err := r.Get(t.Context(), "s", "NetworkDriver"); kind == "" && err != nil || kind != "" && !errors.Is(err, kind) {
			t.Errorf("%s: error %v, want kind %q", content, err, kind)
		}
	}
}

// certificate makes one for 127.0.0.1 that signs itself, in files.
func certificate(t *testing.T, folder, name string) (tls.Certificate, string, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true,
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPath, keyPath := filepath.Join(folder, name+".pem"), filepath.Join(folder, name+".key")
	write(t, certPath, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, keyPath, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})))
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, certPath, keyPath
}

func TestTLS(t *testing.T) {
	p := plugintest.New(t, "secure", "NetworkDriver")
	p.Answer("NetworkDriver.Leave", "{}")
	r := registry(t, p)
	own, ownPath, _ := certificate(t, p.Folder, "server")
	_, clientPath, clientKey := certificate(t, p.Folder, "client")
	_, otherPath, otherKey := certificate(t, p.Folder, "other")
	clients := x509.NewCertPool()
	content, err := os.ReadFile(clientPath)
	if err != nil || !clients.AppendCertsFromPEM(content) {
		t.Fatal("the client's certificate", err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{own}, ClientCAs: clients, ClientAuth: tls.RequireAndVerifyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	p.Serve(listener)
	for name, test := range map[string]struct {
		config string
		kind   cnm.Kind
	}{
		"both known":         {`"CAFile":"` + ownPath + `","CertFile":"` + clientPath + `","KeyFile":"` + clientKey + `"`, ""},
		"any server":         {`"InsecureSkipVerify":true,"CertFile":"` + clientPath + `","KeyFile":"` + clientKey + `"`, ""},
		"the system's":       {`"CertFile":"` + clientPath + `","KeyFile":"` + clientKey + `"`, cnm.Forbidden},
		"another server":     {`"CAFile":"` + otherPath + `","CertFile":"` + clientPath + `","KeyFile":"` + clientKey + `"`, cnm.Forbidden},
		"key of another":     {`"CAFile":"` + ownPath + `","CertFile":"` + clientPath + `","KeyFile":"` + otherKey + `"`, cnm.Invalid},
		"unknown client":     {`"CAFile":"` + ownPath + `","CertFile":"` + otherPath + `","KeyFile":"` + otherKey + `"`, cnm.Forbidden},
		"client shows no ID": {`"CAFile":"` + ownPath + `"`, cnm.Forbidden},
	} {
		for _, scheme := range []string{"https", "tcp"} {
			write(t, filepath.Join(p.Folder, "secure.json"), `{"Addr":"`+scheme+`://`+listener.Addr().String()+`","TLSConfig":{`+test.config+`}}`)
			found, err := r.Get(t.Context(), "secure", "NetworkDriver")
			if err == nil {
				err = found.Call(t.Context(), "NetworkDriver.Leave", nil, nil)
			}
			if test.kind == "" && err != nil || test.kind != "" && !errors.Is(err, test.kind) {
				t.Errorf("%s by %s: error %v, want kind %q", name, scheme, err, test.kind)
			}
		}
	}
}
