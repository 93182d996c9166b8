package plugin

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// address is where a plugin listens.
type address struct {
	// network is "unix" or "tcp".
	network string
	// at is the path of a socket, or a host with a port.
	at string
	// tls is nil for a connection in the clear.
	tls *tls.Config
}

// host is what requests are addressed to. A socket has no name: that is Docker's.
func (a address) host() string {
	if a.network == "unix" {
		return "plugin.moby.localhost"
	}
	return a.at
}

// address reads the source.
func (s source) address() (address, error) {
	switch s.kind {
	case fromSocket:
		return address{network: "unix", at: s.path}, checkLength(s.path)
	case fromSpec:
		content, err := readTrusted(s.path)
		if err != nil {
			return address{}, err
		}
		a, err := parseAddress(strings.TrimSpace(string(content)))
		return a, inFile(s.path, err)
	default:
		content, err := readTrusted(s.path)
		if err != nil {
			return address{}, err
		}
		a, err := parseJSON(content)
		return a, inFile(s.path, err)
	}
}

func inFile(path string, err error) error { return cnm.Wrap(fmt.Sprintf("file %q", path), err) }

func invalid(format string, values ...any) error {
	return cnm.E("", cnm.Invalid, fmt.Errorf(format, values...))
}

// parseAddress reads unix:///path, tcp://host:port, and http or https in place of tcp.
func parseAddress(text string) (address, error) {
	const want = "want unix:///path or tcp://host:port"
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return address{}, invalid("address %.100q: %s", text, want)
	}
	switch u.Scheme {
	case "unix":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return address{}, invalid("address %.100q: the path of a socket is absolute: %s", text, want)
		}
		path := filepath.Clean(u.Path)
		return address{network: "unix", at: path}, checkLength(path)
	case "tcp", "http", "https":
		host, port, err := net.SplitHostPort(u.Host)
		if err != nil || host == "" || port == "" || strings.Trim(u.Path, "/") != "" {
			return address{}, invalid("address %.100q: %s", text, want)
		}
		a := address{network: "tcp", at: u.Host}
		if u.Scheme == "https" {
			a.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
		}
		return a, nil
	}
	return address{}, invalid("address %.100q: %s", text, want)
}

// longestPath is what fits into sockaddr_un with the zero behind it, in bytes (unix(7)).
const longestPath = 107

func checkLength(path string) error {
	if len(path) > longestPath {
		return invalid("socket %.120q: its path has %d bytes, and %d can be connected to", path, len(path), longestPath)
	}
	return nil
}

// jsonFile is what NAME.json holds.
type jsonFile struct {
	// Name is for people; the name of the file counts.
	Name      string
	Addr      string
	TLSConfig *struct {
		// InsecureSkipVerify takes any certificate. It is only set by saying so.
		InsecureSkipVerify bool
		// CAFile, in PEM, holds who may have signed the plugin's certificate; empty means
		// whom this system trusts.
		CAFile string
		// CertFile and KeyFile, in PEM, are what we show to the plugin; empty means nothing.
		CertFile, KeyFile string
	}
}

func parseJSON(content []byte) (address, error) {
	var file jsonFile
	if err := json.Unmarshal(content, &file); err != nil {
		return address{}, invalid("is no JSON as it is wanted here: %w", err)
	}
	a, err := parseAddress(file.Addr)
	if err != nil || file.TLSConfig == nil {
		return a, err
	}
	if a.network != "tcp" {
		return address{}, invalid("TLSConfig: is for addresses with tcp or https, not for a socket")
	}
	if a.tls == nil {
		host, _, err := net.SplitHostPort(a.at)
		if err != nil {
			return address{}, invalid("address %.100q: %w", file.Addr, err)
		}
		a.tls = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	}
	a.tls.InsecureSkipVerify = file.TLSConfig.InsecureSkipVerify
	if path := file.TLSConfig.CAFile; path != "" {
		if a.tls.RootCAs, err = authorities(path); err != nil {
			return address{}, cnm.Wrap("CAFile", err)
		}
	}
	cert, key := file.TLSConfig.CertFile, file.TLSConfig.KeyFile
	if (cert == "") != (key == "") {
		return address{}, invalid("TLSConfig: CertFile and KeyFile go together")
	}
	if cert != "" {
		if a.tls.Certificates, err = identity(cert, key); err != nil {
			return address{}, err
		}
	}
	return a, nil
}

func authorities(path string) (*x509.CertPool, error) {
	content, err := readTrusted(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, invalid("file %q: holds no certificate in PEM form", path)
	}
	return pool, nil
}

func identity(certPath, keyPath string) ([]tls.Certificate, error) {
	cert, err := readTrusted(certPath)
	if err != nil {
		return nil, cnm.Wrap("CertFile", err)
	}
	key, err := readTrusted(keyPath)
	if err != nil {
		return nil, cnm.Wrap("KeyFile", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, invalid("CertFile %q and KeyFile %q: %w", certPath, keyPath, err)
	}
	return []tls.Certificate{pair}, nil
}

// isCertificate reports whether one side does not show who it is as the other wants it:
// trying again helps nobody. What the plugin thinks of our certificate may come after the
// request (RFC 8446 section 4.4), which it has then not looked at.
func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var alert *net.OpError
	return errors.As(err, &verification) || errors.As(err, &record) || errors.As(err, &alert) && alert.Op == "remote error"
}
