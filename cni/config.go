package cni

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/docker/libnetwork/netlabel"
)

// Defaults and bounds of the configuration.
const (
	// DefaultDataDir is where the records are without a daemon.
	DefaultDataDir = "/var/lib/dnet-cni"
	// DefaultExecRoot is where files are that a reboot makes worthless.
	DefaultExecRoot = "/run/dnet-cni"

	defaultLockTimeout = 30 * time.Second
	longestLockTimeout = 10 * time.Minute
	defaultDriver      = "bridge"
	// largestInput is how many bytes of configuration are read: a list of valid attachments
	// may have some thousand entries.
	largestInput = 8 << 20
)

// supported are the versions of the specification, the latest last.
func supported() []string { return []string{"0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"} }

// latest is the version of reports that no configuration names one for.
func latest() string { all := supported(); return all[len(all)-1] }

// configuration is what a configuration says.
type configuration struct {
	version, name string
	// socket is that of the daemon; empty means that there is none.
	socket            string
	dataDir, execRoot string
	// lockTimeout is how long to wait for other operations, or for the daemon.
	lockTimeout time.Duration
	// firewall is the back end of the packet filter; empty leaves it to the library.
	firewall   string
	network    network
	dns        types.DNS
	attachment attachment
	previous   *types100.Result
	// valid are the attachments that GC leaves; nil means that none were given.
	valid []types.GCAttachment
}

// network is what the configuration wants the network to be.
type network struct {
	Name     string            `json:"name"`
	Driver   string            `json:"driver"`
	Subnets  []subnet          `json:"subnets,omitempty"`
	IPv4     bool              `json:"ipv4"`
	IPv6     bool              `json:"ipv6"`
	Internal bool              `json:"internal,omitempty"`
	Options  map[string]string `json:"options,omitempty"`
	// given are the keys that a network of somebody else's making must agree with.
	given map[string]bool
}

// subnet is a pool of addresses.
type subnet struct {
	// Subnet is in CIDR form, and Range the part of it that automatic addresses come from.
	Subnet  string            `json:"subnet"`
	Range   string            `json:"range,omitempty"`
	Gateway string            `json:"gateway,omitempty"`
	Aux     map[string]string `json:"aux,omitempty"`
}

// decodeVersion finds out in which version to answer.
func decodeVersion(text []byte) (string, error) {
	var conf struct {
		CNIVersion string `json:"cniVersion"`
	}
	if err := json.Unmarshal(text, &conf); err != nil {
		return latest(), fail(types.ErrDecodingFailure, "decode configuration: %s", err)
	}
	given := conf.CNIVersion
	if given == "" {
		given = "0.1.0" // as the specification had it before there was the key
	}
	if !slices.Contains(supported(), given) {
		wrong := fail(types.ErrIncompatibleCNIVersion, "key \"cniVersion\" with value %q: this plugin supports %s", conf.CNIVersion, strings.Join(supported(), ", "))
		return latest(), wrong
	}
	return given, nil
}

// decodeConfig reads a configuration for a command, and refuses what would be ignored.
func decodeConfig(text []byte, r *request) (*configuration, error) {
	answer, err := decodeVersion(text)
	if err != nil {
		return &configuration{version: answer}, err
	}
	c := &configuration{version: answer, dataDir: DefaultDataDir, execRoot: DefaultExecRoot, lockTimeout: defaultLockTimeout}
	// These two came with 1.1.0.
	if newer := r.command == commandGC || r.command == commandStatus; newer && answer != "1.1.0" {
		return c, fail(types.ErrIncompatibleCNIVersion, "%s with cniVersion %q: came with 1.1.0", r.command, answer)
	}
	o, err := newObject("", text)
	if err != nil {
		return c, err
	}
	if err := c.decodePlace(o); err != nil {
		return c, err
	}
	if r.command == commandDelete {
		return c, nil // the records say the rest
	}
	// Until it was corrected, the specification 1.1.0 had the other name for the same list.
	if !o.take("cni.dev/valid-attachments", &c.valid) {
		o.take("cni.dev/attachments", &c.valid)
	}
	if r.command == commandGC {
		return c, o.firstError()
	}
	return c, c.decodeRest(o, r)
}

func (o *object) firstError() error {
	if len(o.errs) > 0 {
		return o.errs[0]
	}
	return nil
}

// decodePlace reads where the network is: all that a deletion needs.
func (c *configuration) decodePlace(o *object) error {
	var ours string
	o.take("name", &c.name)
	o.take("network", &ours)
	o.take("socket", &c.socket)
	o.take("dataDir", &c.dataDir)
	o.take("execRoot", &c.execRoot)
	o.take("firewall", &c.firewall)
	var timeout string
	timed := o.take("lockTimeout", &timeout)
	if err := o.firstError(); err != nil {
		return err
	}
	if !validID(c.name) {
		return invalid("key \"name\" with value %q: want a letter or digit, and then letters, digits, '_', '.' or '-'", c.name)
	}
	if c.network.Name = ours; ours == "" {
		c.network.Name = c.name
	}
	if len(ours) > longestID {
		return invalid("key \"network\": has %d bytes; want %d at most", len(ours), longestID)
	}
	for key, path := range map[string]string{"dataDir": c.dataDir, "execRoot": c.execRoot} {
		if !filepath.IsAbs(path) {
			return invalid("key %q with value %q: want an absolute path", key, path)
		}
	}
	if c.socket != "" && !filepath.IsAbs(c.socket) && !strings.Contains(c.socket, "://") {
		return invalid("key \"socket\" with value %q: want an absolute path, or an address such as tcp://127.0.0.1:2385", c.socket)
	}
	if timed {
		d, err := time.ParseDuration(timeout)
		if err != nil || d <= 0 || d > longestLockTimeout {
			return invalid("key \"lockTimeout\" with value %q: want a time up to %s, such as 30s", timeout, longestLockTimeout)
		}
		c.lockTimeout = d
	}
	return nil
}

// decodeRest reads what the network and the attachment are to be.
func (c *configuration) decodeRest(o *object, r *request) error {
	for _, known := range []string{"cniVersion", "type", "capabilities"} {
		delete(o.members, known)
	}
	for key := range o.members {
		if strings.HasPrefix(key, "cni.dev/") {
			delete(o.members, key) // reserved for what runtimes add
		}
	}
	c.decodeNetwork(o)
	dns := o.child("dns")
	c.dns = takeDNS(dns, "nameservers")
	if err := dns.done(); err != nil {
		return err
	}
	c.attachment = attachment{container: r.container, ifname: r.ifname, netns: r.netns}
	if err := c.decodeRuntime(o, r); err != nil {
		return err
	}
	if err := c.decodePrevious(o); err != nil {
		return err
	}
	return o.done()
}

// decodeNetwork reads the keys that make the network.
func (c *configuration) decodeNetwork(o *object) {
	n := &c.network
	n.Driver, n.IPv4, n.given = defaultDriver, true, make(map[string]bool)
	n.Options = make(map[string]string)
	given := func(key string, ok bool) bool {
		if ok {
			n.given[key] = true
		}
		return ok
	}
	given("driver", o.take("driver", &n.Driver))
	given("internal", o.take("internal", &n.Internal))
	given("options", o.take("options", &n.Options))
	var ipv4, ipv6 bool
	has4, has6 := o.take("ipv4", &ipv4), o.take("ipv6", &ipv6)
	subnets := c.decodeSubnets(o)
	given("subnets", len(subnets) > 0)
	n.Subnets = subnets
	is6 := func(s subnet) bool { return strings.Contains(s.Subnet, ":") }
	n.IPv6 = slices.ContainsFunc(subnets, is6)
	// Subnets of IPv6 alone make a network of IPv6 alone.
	n.IPv4 = len(subnets) == 0 || slices.ContainsFunc(subnets, func(s subnet) bool { return !is6(s) })
	if given("ipv4", has4) {
		n.IPv4 = ipv4
	}
	if given("ipv6", has6) {
		n.IPv6 = ipv6
	}
	c.decodeUsual(o)
}

// option sets an option of the driver, unless it was given otherwise.
func (c *configuration) option(o *object, key, name, value string) {
	if old, ok := c.network.Options[name]; ok && old != value {
		o.refuse(key, value, "\"options\" say otherwise: "+name+" is "+old)
		return
	}
	c.network.Options[name] = value
	c.network.given["options"] = true
}

// decodeUsual reads the keys that plugins for bridges, macvlan and ipvlan have in common.
func (c *configuration) decodeUsual(o *object) {
	text := func(key, name string) {
		var value string
		if o.take(key, &value) {
			c.option(o, key, name, value)
		}
	}
	var mtu json.Number
	if o.take("mtu", &mtu) && mtu.String() != "0" {
		c.option(o, "mtu", netlabel.DriverMTU, mtu.String())
	}
	switch c.network.Driver {
	case "bridge":
		text("bridge", netlabel.BridgeName)
		var masquerade bool
		if o.take("ipMasq", &masquerade) && !masquerade {
			c.option(o, "ipMasq", netlabel.BridgeEnableIPMasquerade, "false")
		}
		o.only("isGateway", "the bridge of the network is always its gateway", true)
		o.only("isDefaultGateway", "want true, or \"internal\": true for a network without a default route", true)
		o.only("hairpinMode", "containers always reach their own published ports", true)
		o.only("ipMasqBackend", "want nothing: the packet filter is chosen by \"firewall\"")
		o.only("vlan", "the network has no VLANs; use the driver macvlan on a parent such as eth0.10", 0.)
	case "macvlan", "ipvlan":
		text("master", "parent")
		text("mode", c.network.Driver+"_mode")
		o.only("ipMasq", "containers are on the network of the parent, with addresses of their own", false)
		o.only("linkInContainer", "the parent is a link of the host", false)
	}
	const never = "is not supported"
	for _, key := range []string{"promiscMode", "forceAddress", "macspoofchk", "enabledad", "preserveDefaultVlan", "disableContainerInterface"} {
		o.only(key, never, false)
	}
}

// decodePrevious reads the result of an earlier ADD, or of the plugin before.
func (c *configuration) decodePrevious(o *object) error {
	text, ok := o.members["prevResult"]
	delete(o.members, "prevResult")
	if !ok || string(text) == "null" {
		return nil
	}
	result, err := version.NewResult(c.version, text)
	if err != nil {
		return fail(types.ErrDecodingFailure, "key \"prevResult\": %s", err)
	}
	if c.previous, err = types100.NewResultFromResult(result); err != nil {
		return fail(types.ErrDecodingFailure, "key \"prevResult\": %s", err)
	}
	return nil
}
