package dnet

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestUnixSocket(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	// What a dead daemon leaves is replaced.
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: m.socket})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	m.arguments = []string{"--socket-group", "daemon"}
	m.start()
	info, err := os.Stat(m.socket)
	if err != nil {
		t.Fatal(err)
	}
	if group := info.Sys().(*syscall.Stat_t).Gid; info.Mode().Perm() != 0o660 || group != 1 {
		t.Errorf("the socket has mode %s and group %d", info.Mode(), group)
	}
	m.refused("a daemon is already running there")
	m.refused(fmt.Sprintf("process %d (dnetd) has it", m.daemon.Process.Pid), "-H", "unix://"+m.socket+"2")
	m.refused("there is no such group", "--socket-group", "nosuchgroup", "-H", "unix://"+m.socket+"2")
	if err := m.client().ping(); err != nil {
		t.Errorf("after the others were refused: %v", err)
	}
}

func TestTCPBeyondTheMachine(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	for _, host := range []string{"tcp://0.0.0.0:2385", "tcp://:2385", "tcp://192.0.2.1:2385", "tcp://[::]:2385"} {
		m.refused("give tlscacert, tlscert and tlskey, or listen at a loopback address", "-H", host)
	}
	if _, err := os.Stat(filepath.Join(m.folder, "data")); !os.IsNotExist(err) {
		t.Errorf("a daemon that was refused has made its data dir: %v", err)
	}
}

// TestTLS: who has no certificate of the authority is not let in.
func TestTLS(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	files := certificates(t, m.folder)
	m.arguments = []string{
		"-H", "unix://" + m.socket, "-H", "tcp://0.0.0.0:2385",
		"--tlscacert", files["ca"], "--tlscert", files["server"], "--tlskey", files["server-key"],
	}
	m.start()
	with, err := client.New("tcp://127.0.0.1:2385", client.WithTLSFiles(files["ca"], files["client"], files["client-key"]))
	if err != nil {
		t.Fatal(err)
	}
	defer with.Close()
	if _, err := with.Version(t.Context()); err != nil {
		t.Errorf("with a certificate: %v", err)
	}
	authority, err := os.ReadFile(files["ca"])
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	without, err := client.New("tcp://127.0.0.1:2385", client.WithTLS(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	defer without.Close()
	if version, err := without.Version(t.Context()); err == nil {
		t.Errorf("without a certificate: got version %q", version)
	}
	plain, err := http.Get("http://127.0.0.1:2385/version")
	if err == nil {
		defer plain.Body.Close() //nolint:errcheck // read only
		if plain.StatusCode == http.StatusOK {
			t.Errorf("without TLS: got %s", plain.Status)
		}
	}
}

// certificates makes an authority and certificates signed by it, and returns the paths.
func certificates(t testing.TB, folder string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	write := func(name, kind string, content []byte) {
		files[name] = filepath.Join(folder, name+".pem")
		if err := os.WriteFile(files[name], pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var parent *x509.Certificate
	var signer *ecdsa.PrivateKey
	for i, name := range []string{"ca", "server", "client"} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(int64(i + 1)), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: i == 0, BasicConstraintsValid: true,
			KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		}
		if i == 0 {
			parent, signer = template, key
		}
		signed, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		write(name, "CERTIFICATE", signed)
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		write(name+"-key", "PRIVATE KEY", private)
	}
	return files
}

// TestUnwantedRequests: those of web pages, those too large, and those too slow.
func TestUnwantedRequests(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	m.arguments = []string{"-H", "unix://" + m.socket, "-H", "tcp://127.0.0.1:2390", "--allowed-host", "dnet.example"}
	m.start()
	for _, test := range []struct {
		host, origin, site, kind, body string
		status                         int
	}{
		{"127.0.0.1:2390", "", "", "application/json", `{"name":"a"}`, 201},
		{"dnet.example", "", "", "application/json", `{"name":"b"}`, 201},
		{"rebound.example", "", "", "application/json", `{"name":"c"}`, 403},
		{"127.0.0.1:2390", "http://evil.example", "", "application/json", `{"name":"c"}`, 403},
		{"127.0.0.1:2390", "http://127.0.0.1:2390", "", "application/json", `{"name":"d"}`, 201},
		{"127.0.0.1:2390", "", "cross-site", "application/json", `{"name":"c"}`, 403},
		{"127.0.0.1:2390", "", "", "text/plain", `{"name":"c"}`, 415},
		{"127.0.0.1:2390", "", "", "application/json", `{"name":"` + strings.Repeat("c", 2<<20) + `"}`, 413},
	} {
		req, err := http.NewRequest("POST", "http://127.0.0.1:2390/networks", strings.NewReader(test.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = test.host
		for name, value := range map[string]string{"Origin": test.origin, "Sec-Fetch-Site": test.site, "Content-Type": test.kind} {
			if value != "" {
				req.Header.Set(name, value)
			}
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text := read(t, answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != test.status {
			t.Errorf("host %q, origin %q, site %q, type %q, %d bytes: got %d %s, want %d",
				test.host, test.origin, test.site, test.kind, len(test.body), answer.StatusCode, text, test.status)
		}
	}
	slow, err := net.Dial("tcp", "127.0.0.1:2390")
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close() //nolint:errcheck // it is to be closed by the other side
	start := time.Now()
	stop := time.AfterFunc(20*time.Second, func() { _ = slow.Close() })
	defer stop.Stop()
	go func() {
		for _, c := range "GET /networks HTTP/1.1\r\nHost: localhost\r\nX-Slow: and-slower-and-slower" {
			if _, err := slow.Write([]byte(string(c))); err != nil {
				return
			}
			time.Sleep(200 * time.Millisecond)
		}
	}()
	_, _ = bufio.NewReader(slow).ReadByte()
	if took := time.Since(start); took > 8*time.Second {
		t.Errorf("a client that sends its head slowly was served for %s", took)
	}
}

// TestSystemd: sockets from outside, and what systemd is told.
func TestSystemd(t *testing.T) {
	m := newMachine(t, kerneltest.NewNamespace(t))
	told, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.folder, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer told.Close() //nolint:errcheck // read only
	listening, err := net.ListenUnix("unix", &net.UnixAddr{Name: m.socket + "d"})
	if err != nil {
		t.Fatal(err)
	}
	defer listening.Close() //nolint:errcheck // the daemon has its own
	file, err := listening.File()
	if err != nil {
		t.Fatal(err)
	}
	m.refused("systemd has passed on no sockets", "-H", "fd://")
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", program(t), "daemon", "-c", filepath.Join(m.folder, "libnetwork.toml"), "--no-default-network")
	cmd.Env = append(os.Environ(), "LISTEN_FDS=1", "NOTIFY_SOCKET="+filepath.Join(m.folder, "notify"), "WATCHDOG_USEC=200000")
	cmd.ExtraFiles = []*os.File{file}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() //nolint:errcheck // it has ended, if all went well
	want := func(text string) {
		t.Helper()
		buffer := make([]byte, 1024)
		for {
			_ = told.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := told.Read(buffer)
			if err != nil {
				t.Fatalf("systemd was not told %q: %v\n%s", text, err, &log)
			}
			if strings.Contains(string(buffer[:n]), text) {
				return
			}
		}
	}
	want("READY=1")
	c, err := client.New("unix://" + m.socket + "d")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Version(t.Context()); err != nil {
		t.Error(err)
	}
	want("WATCHDOG=1")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	want("RELOADING=1\nMONOTONIC_USEC=")
	want("READY=1")
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	want("STOPPING=1")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, &log)
	}
}
