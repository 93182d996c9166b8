package diag

import (
	"strings"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
)

// State returns all that a controller holds and has counted, in a form to be encoded as
// JSON.
func State(inspector libnetwork.Inspector) any {
	return struct {
		Records    libnetwork.Records    `json:"records"`
		Statistics libnetwork.Statistics `json:"statistics"`
	}{inspector.Records(), inspector.Statistics()}
}

// settings is the configuration without what may be secret: of stores only where they are,
// and of drivers all but what is named like a secret.
type settings struct {
	Debug, Experimental           bool
	DataDir, ExecRoot             string
	HostNamespace                 string `json:",omitempty"`
	DefaultNetwork, DefaultDriver string
	Labels                        []string                  `json:",omitempty"`
	Drivers                       map[string]map[string]any `json:",omitempty"`
	DefaultAddressPools           []config.AddressPool      `json:",omitempty"`
	NeverUse                      []string                  `json:",omitempty"`
	FirewallBackend, AcceptMark   string
	Announce                      config.AnnounceCfg
	Stores                        map[string]string `json:",omitempty"`
	Discovery                     string            `json:",omitempty"`
}

func settingsOf(c config.Config) settings {
	d := c.Daemon
	s := settings{
		Debug: d.Debug, Experimental: d.Experimental, DataDir: d.DataDir, ExecRoot: d.ExecRoot, HostNamespace: d.HostNamespace,
		DefaultNetwork: d.DefaultNetwork, DefaultDriver: d.DefaultDriver,
		DefaultAddressPools: d.DefaultAddressPools, NeverUse: d.NeverUse, FirewallBackend: d.FirewallBackend, AcceptMark: d.AcceptMark,
		Announce: d.Announce, Drivers: make(map[string]map[string]any), Stores: make(map[string]string), Discovery: withoutUser(c.Cluster.Discovery),
	}
	for _, label := range d.Labels {
		key, value, _ := strings.Cut(label, "=")
		s.Labels = append(s.Labels, key+"="+concealed(key, value))
	}
	for driver, options := range d.DriverCfg {
		given, ok := options.(map[string]any)
		if !ok {
			continue
		}
		s.Drivers[driver] = make(map[string]any)
		for key, value := range given {
			s.Drivers[driver][key] = concealAny(key, value)
		}
	}
	for name, scope := range c.Scopes {
		if scope != nil {
			s.Stores[name] = scope.Client.Provider + " at " + withoutUser(scope.Client.Address)
		}
	}
	return s
}

// hidden is in the place of what is not shown.
const hidden = "(hidden)"

// secret reports whether the name of an option is that of something not to be shown.
func secret(name string) bool {
	name = strings.ToLower(name)
	for _, word := range []string{"password", "passwd", "secret", "token", "key", "credential", "auth"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func concealed(name, value string) string {
	if secret(name) {
		return hidden
	}
	return withoutUser(value)
}

func concealAny(name string, value any) any {
	switch value := value.(type) {
	case string:
		return concealed(name, value)
	case bool, int, int64, uint64, float64:
		if !secret(name) {
			return value
		}
	case map[string]string:
		return concealMap(value)
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, inner := range value {
			out[key] = concealAny(key, inner)
		}
		return out
	}
	return hidden
}

func concealMap(values map[string]string) map[string]string {
	if values == nil {
		return nil
	}
	out := make(map[string]string, len(values))
	for key, value := range values {
		out[key] = concealed(key, value)
	}
	return out
}

// withoutUser takes the name and password out of a URL, or of what looks like one; what
// holds no @ stays as it is.
func withoutUser(text string) string {
	end := strings.LastIndexByte(text, '@')
	if end < 0 {
		return text
	}
	// Parsing it would miss what is not well-formed, and passwords often are not.
	scheme, _, found := strings.Cut(text, "://")
	if !found || len(scheme) > end {
		return hidden
	}
	return scheme + "://hidden" + text[end:]
}

// withoutSecrets returns records with what users gave to drivers and address managers, and
// labels, without what is named like a secret.
func withoutSecrets(r libnetwork.Records) libnetwork.Records {
	var out libnetwork.Records
	for _, n := range r.Networks {
		safe := *n
		safe.Options, safe.Labels, safe.IPAM.Options = concealMap(n.Options), concealMap(n.Labels), concealMap(n.IPAM.Options)
		out.Networks = append(out.Networks, &safe)
	}
	for _, ep := range r.Endpoints {
		safe := *ep
		safe.Options, safe.Labels, safe.IPAMOptions = concealMap(ep.Options), concealMap(ep.Labels), concealMap(ep.IPAMOptions)
		out.Endpoints = append(out.Endpoints, &safe)
	}
	for _, sb := range r.Sandboxes {
		safe := *sb
		safe.Labels = nil
		for key, value := range sb.Labels {
			if safe.Labels == nil {
				safe.Labels = make(map[string]any)
			}
			safe.Labels[key] = concealAny(key, value)
		}
		out.Sandboxes = append(out.Sandboxes, &safe)
	}
	return out
}
