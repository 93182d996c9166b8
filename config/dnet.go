package config

import (
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/docker/libnetwork/types"
)

// Values of DnetCfg.LogFormat.
const (
	LogText = "text"
	LogJSON = "json"
)

// maxBridgeName is the longest name of a link, IFNAMSIZ less its zero byte.
const maxBridgeName = 15

// maxPluginName leaves room for the folder in the path of the plugin's socket.
const maxPluginName = 64

func validPluginName(name string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	return len(name) <= maxPluginName && name[0] != '.' && !strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune(letters, r) })
}

// DnetCfg configures the daemon dnet. In the zero value each setting is the daemon's
// default.
type DnetCfg struct {
	// Hosts are where to listen: unix:///path, tcp://address:port or fd://. Empty means
	// the daemon's socket, or the sockets that systemd has opened.
	Hosts []string
	// SocketGroup is the group, by name or number, that may use Unix sockets besides
	// root. Empty means none.
	SocketGroup string
	// AllowedHosts are names by which clients reach TCP sockets, besides loopback names
	// and addresses: what their Host header may say.
	AllowedHosts []string
	// TLSCACert, TLSCert and TLSKey are paths of PEM files: who signs certificates of
	// clients, and the daemon's own certificate and key. All or none are given.
	TLSCACert, TLSCert, TLSKey string
	// LogFormat is LogText or LogJSON; empty means LogText.
	LogFormat string
	// LogLevel is "debug", "info", "warn" or "error"; empty means "info".
	LogLevel string
	// PIDFile is a path where the process's number is written; empty means nowhere.
	PIDFile string
	// DefaultBridge is the Linux bridge of the default network; empty means "dnet0".
	DefaultBridge string
	// DefaultSubnet is the IPv4 subnet of the default network, in CIDR form. Empty
	// leaves it to the address manager.
	DefaultSubnet string
	// Plugin is the name by which a container engine on this host can use the daemon's
	// networks, as a plugin. Empty means that there is none.
	Plugin string
	// NoDefaultNetwork keeps the daemon from making the default network.
	NoDefaultNetwork bool
	// ShutdownClean deletes all sandboxes, endpoints and networks at the end.
	ShutdownClean bool
	// ShutdownTimeout bounds the waiting for requests under way at the end; zero means 10
	// seconds.
	ShutdownTimeout time.Duration
	// MaxConnections bounds the connections of clients; zero means 1024.
	MaxConnections int
}

func (d *DnetCfg) validate() []error {
	found := []error{
		validatePath("CA certificate", d.TLSCACert), validatePath("certificate", d.TLSCert),
		validatePath("key", d.TLSKey), validatePath("PID file", d.PIDFile),
	}
	add := func(format string, params ...any) {
		found = append(found, types.BadRequestErrorf(format, params...))
	}
	if given := d.TLSCACert != ""; given != (d.TLSCert != "") || given != (d.TLSKey != "") {
		add("TLS: needs all three of tlscacert, tlscert and tlskey, or none")
	}
	if d.LogFormat != "" && d.LogFormat != LogText && d.LogFormat != LogJSON {
		add("log format %q: want %q or %q", d.LogFormat, LogText, LogJSON)
	}
	if d.LogLevel != "" {
		var level slog.Level
		if err := level.UnmarshalText([]byte(d.LogLevel)); err != nil {
			add("log level %q: want debug, info, warn or error", d.LogLevel)
		}
	}
	if !IsValidName(d.DefaultBridge) && d.DefaultBridge != "" || len(d.DefaultBridge) > maxBridgeName {
		add("default bridge %q: want a name of 1 to %d characters", d.DefaultBridge, maxBridgeName)
	}
	if d.DefaultSubnet != "" {
		if prefix, err := netip.ParsePrefix(d.DefaultSubnet); err != nil || !prefix.Addr().Is4() {
			add("default subnet %q: want an IPv4 subnet such as 10.20.0.0/24", d.DefaultSubnet)
		}
	}
	if d.Plugin != "" && !validPluginName(d.Plugin) {
		add("plugin %q: want a name of 1 to %d letters, digits, '_', '-' and '.', which it does not begin with", d.Plugin, maxPluginName)
	}
	if d.ShutdownTimeout < 0 {
		add("shutdown timeout %s: is negative", d.ShutdownTimeout)
	}
	if d.MaxConnections < 0 {
		add("max connections %d: is negative", d.MaxConnections)
	}
	return found
}
