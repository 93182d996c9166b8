package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Where a daemon listens unless it is told otherwise: DefaultAddress, and the host and
// port that an address such as "tcp://" leaves out.
const (
	DefaultAddress = "unix:///run/libnetwork/dnet.sock"
	DefaultHost    = "127.0.0.1"
	DefaultPort    = "2385"
)

// Client asks one daemon. It is safe for concurrent use, and keeps connections between
// requests; Close closes them.
type Client struct {
	// address is as given, for messages; socket is the path of a Unix socket.
	address, socket string
	base            url.URL
	http            *http.Client
	transport       *http.Transport
}

// Option changes a Client that is being made.
type Option func(*Client) error

// WithTLS encrypts connections by TCP. The configuration's ServerName, if it is empty, is
// the host of the address.
func WithTLS(configuration *tls.Config) Option {
	return func(c *Client) error {
		if c.socket != "" {
			return errors.New("a Unix socket has no TLS; leave it out, or use tcp://")
		}
		c.base.Scheme = "https"
		c.transport.TLSClientConfig = configuration.Clone()
		return nil
	}
}

// WithTLSFiles is WithTLS with files in PEM form: the authority that the daemon's
// certificate is signed by, and the client's own certificate and key. An empty authority
// means those of the system; certificate and key may be empty together, for a daemon that
// asks for none.
func WithTLSFiles(authority, certificate, key string) Option {
	return func(c *Client) error {
		configuration := &tls.Config{MinVersion: tls.VersionTLS12}
		if authority != "" {
			text, err := os.ReadFile(authority)
			if err != nil {
				return err
			}
			configuration.RootCAs = x509.NewCertPool()
			if !configuration.RootCAs.AppendCertsFromPEM(text) {
				return fmt.Errorf("%q holds no certificate in PEM form", authority)
			}
		}
		if certificate != "" || key != "" {
			pair, err := tls.LoadX509KeyPair(certificate, key)
			if err != nil {
				return err
			}
			configuration.Certificates = []tls.Certificate{pair}
		}
		return WithTLS(configuration)(c)
	}
}

// WithTransport wraps what sends the requests, to watch or change them.
func WithTransport(wrap func(http.RoundTripper) http.RoundTripper) Option {
	return func(c *Client) error {
		c.http.Transport = wrap(c.http.Transport)
		return nil
	}
}

// New returns a client of the daemon at an address: unix:///path, or tcp://host:port,
// where host and port may be left out. An empty address is DefaultAddress. It does not
// connect yet.
func New(address string, options ...Option) (*Client, error) {
	if address == "" {
		address = DefaultAddress
	}
	c := &Client{address: address, transport: &http.Transport{MaxIdleConnsPerHost: 16}}
	c.http = &http.Client{Transport: c.transport}
	if err := c.aim(address); err != nil {
		return nil, cnm.E(fmt.Sprintf("daemon's address %q", address), cnm.Invalid, err)
	}
	for _, option := range options {
		if err := option(c); err != nil {
			return nil, cnm.E(fmt.Sprintf("client of the daemon at %s", address), cnm.Invalid, err)
		}
	}
	return c, nil
}

// aim sets where the requests go.
func (c *Client) aim(address string) error {
	scheme, rest, found := strings.Cut(address, "://")
	if !found {
		return errors.New("want unix:///path or tcp://host:port")
	}
	switch scheme {
	case "unix":
		if !strings.HasPrefix(rest, "/") {
			return errors.New("the path of a Unix socket starts with a slash, as in " + DefaultAddress)
		}
		c.socket = rest
		c.base = url.URL{Scheme: "http", Host: "localhost"}
		c.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, "unix", rest)
		}
	case "tcp":
		hostPort, err := completeHost(strings.TrimSuffix(rest, "/"))
		if err != nil {
			return err
		}
		c.base = url.URL{Scheme: "http", Host: hostPort}
	default:
		return fmt.Errorf("scheme %q: want unix or tcp", scheme)
	}
	return nil
}

// completeHost adds what is left out of host:port.
func completeHost(text string) (string, error) {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		host, port = strings.Trim(text, "[]"), ""
		if strings.Contains(host, ":") && net.ParseIP(host) == nil {
			return "", err
		}
	}
	if host == "" {
		host = DefaultHost
	}
	if port == "" {
		port = DefaultPort
	}
	if strings.ContainsAny(host, "/?#@ ") {
		return "", fmt.Errorf("host %q: want a name or an address", host)
	}
	if number, err := net.LookupPort("tcp", port); err != nil || number == 0 || strings.Trim(port, "0123456789") != "" {
		return "", fmt.Errorf("port %q: want a number from 1 to 65535", port)
	}
	return net.JoinHostPort(host, port), nil
}

// Address returns where the daemon is, as it was given to New.
func (c *Client) Address() string { return c.address }

// Local reports whether the daemon is on this machine: it is asked by a Unix socket or at
// a loopback address.
func (c *Client) Local() bool {
	if c.socket != "" || c.base.Hostname() == "localhost" {
		return true
	}
	address := net.ParseIP(c.base.Hostname())
	return address != nil && address.IsLoopback()
}

// Close closes the connections that are not in use.
func (c *Client) Close() { c.transport.CloseIdleConnections() }
