package hook

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
)

// prefix is what annotations of ours begin with.
const prefix = "dnet."

// Limits of what a container can ask for; the daemon has its own of ports.
const (
	longestSetting = 64 << 10
	mostNetworks   = 64
)

// Where the container gets its resolv.conf and hosts from.
const (
	// filesNone leaves that to the runtime and the bundle.
	filesNone = "none"
	// filesBundle: the daemon keeps the files resolv.conf and hosts of the bundle, which
	// its configuration mounts.
	filesBundle = "bundle"
	// filesRootfs: they are copied into the container's root.
	filesRootfs = "rootfs"
)

// wish is what the annotations and flags ask for.
type wish struct {
	sandbox  api.SandboxCreate
	networks []networkWish
	files    string
	// What follows is for the one network, if there is one.
	addresses []netip.Addr
	aliases   []string
	mac       string
	// name is the endpoint's in all networks.
	name string
}

// networkWish is one network to be connected with.
type networkWish struct {
	network string
	connect api.NetworkConnect
}

// setting is an annotation, and the flag of the same name.
type setting struct {
	name, usage string
	// separator is between the elements of a list; a flag may be given for each. Empty
	// means a single value.
	separator string
	apply     func(w *wish, value string) error
}

// settings is the table of them, in the order of the page for users.
func settings() []setting {
	return []setting{
		{"network", "networks as `NAME[:KEY=VALUE,...]`, with the keys ip, mac, alias, name, priority and opt.LABEL", ";", (*wish).addNetwork},
		{"publish", "ports as `[[HOSTIP:]HOSTPORT:]PORT[/PROTOCOL]`", ",", (*wish).addPort},
		{"ip", "`addresses` in the one network", ",", (*wish).addAddress},
		{"mac", "hardware `address` in the one network", "", func(w *wish, v string) (err error) { w.mac, err = parseMAC(v); return err }},
		{"aliases", "further `names` in the one network", ",", func(w *wish, v string) error { w.aliases = append(w.aliases, v); return nil }},
		{"name", "`name` in all networks (default the container's id)", "", func(w *wish, v string) error { w.name = v; return nil }},
		{"hostname", "host `name` (default that of the bundle)", "", func(w *wish, v string) error { w.sandbox.HostName = v; return nil }},
		{"domainname", "`domain` of the host name", "", func(w *wish, v string) error { w.sandbox.DomainName = v; return nil }},
		{"dns", "`addresses` of name servers to use outside of the networks", ",", (*wish).addServer},
		{"dns-search", "search `domains`", ",", func(w *wish, v string) error { w.sandbox.DNSSearch = append(w.sandbox.DNSSearch, v); return nil }},
		{"dns-options", "resolver `options`", ",", func(w *wish, v string) error { w.sandbox.DNSOptions = append(w.sandbox.DNSOptions, v); return nil }},
		{"add-host", "lines of the hosts file as `NAME:ADDRESS`; the address host-gateway is the host", ",", (*wish).addHost},
		{"files", "`where` resolv.conf and hosts go: none, bundle or rootfs (default none)", "", (*wish).setFiles},
	}
}

// parseWish reads what the container asks for. Flags win over annotations. An annotation
// of ours that is not known is an error: it would be forgotten otherwise.
func parseWish(annotations, flags map[string]string) (*wish, error) {
	known, given := settings(), make(map[string]string)
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		name, ours := strings.CutPrefix(key, prefix)
		if !ours {
			continue
		}
		if !slices.ContainsFunc(known, func(s setting) bool { return s.name == name }) {
			return nil, invalid("annotation %q: is not known; those are %s", key, names(known))
		}
		given[name] = annotations[key]
	}
	maps.Copy(given, flags)
	w := &wish{files: filesNone}
	for _, s := range known {
		text, found := given[s.name]
		if !found {
			continue
		}
		if err := s.read(w, text); err != nil {
			return nil, cnm.Wrap(prefix+s.name, err)
		}
	}
	return w, w.complete()
}

func names(all []setting) string {
	var out []string
	for _, s := range all {
		out = append(out, prefix+s.name)
	}
	return strings.Join(out, ", ")
}

// read applies each element of the text.
func (s setting) read(w *wish, text string) error {
	if len(text) > longestSetting {
		return invalid("is longer than %d bytes", longestSetting)
	}
	elements := []string{text}
	if s.separator != "" {
		elements = strings.Split(text, s.separator)
	}
	for i, element := range elements {
		element = strings.TrimSpace(element)
		if element == "" && i == len(elements)-1 && i > 0 {
			continue // a list may end with its separator
		}
		if element == "" {
			return invalid("%.80q: holds nothing where a value should be", text)
		}
		if err := s.apply(w, element); err != nil {
			return err
		}
	}
	return nil
}

// complete distributes what is for the one network, and fills in what is left open.
func (w *wish) complete() error {
	switch {
	case len(w.networks) == 0:
		return invalid("%snetwork: names no network", prefix)
	case len(w.networks) > mostNetworks:
		return invalid("%snetwork: names %d networks; %d are the most", prefix, len(w.networks), mostNetworks)
	case len(w.networks) > 1 && (len(w.addresses) > 0 || len(w.aliases) > 0 || w.mac != ""):
		return invalid("%[1]sip, %[1]smac and %[1]saliases are for a single network; write them behind its name, as in %[1]snetwork=%[2]s:ip=ADDRESS,alias=NAME", prefix, w.networks[0].network)
	}
	for _, address := range w.addresses {
		if err := w.networks[0].setAddress(address); err != nil {
			return cnm.Wrap(prefix+"ip", err)
		}
	}
	first := &w.networks[0].connect
	first.MyAliases = append(first.MyAliases, w.aliases...)
	first.MAC = cmp.Or(first.MAC, w.mac)
	ranked := slices.ContainsFunc(w.networks, func(n networkWish) bool { return n.connect.Priority != 0 })
	for i := range w.networks {
		connect := &w.networks[i].connect
		connect.Name = cmp.Or(connect.Name, w.name)
		if !ranked {
			connect.Priority = len(w.networks) - 1 - i // the first one gives the default route
		}
	}
	return nil
}

func (w *wish) addNetwork(text string) error {
	name, options, found := strings.Cut(text, ":")
	n := networkWish{network: strings.TrimSpace(name)}
	switch {
	case n.network == "":
		return invalid("%q: does not begin with the name of a network", text)
	case strings.ContainsAny(n.network, ",="):
		return invalid("network %q: networks are separated by semicolons, and options begin behind a colon, as in web:ip=10.0.0.7,alias=www; back", n.network)
	case slices.ContainsFunc(w.networks, func(other networkWish) bool { return other.network == n.network }):
		return invalid("network %q: is named twice", n.network)
	case found:
		for option := range strings.SplitSeq(options, ",") {
			key, value, _ := strings.Cut(option, "=")
			if err := n.set(strings.TrimSpace(key), strings.TrimSpace(value)); err != nil {
				return cnm.Wrap(fmt.Sprintf("network %q", n.network), err)
			}
		}
	}
	w.networks = append(w.networks, n)
	return nil
}

func (n *networkWish) set(key, value string) (err error) {
	if value == "" {
		return invalid("option %q: has no value; want KEY=VALUE", key)
	}
	label, isLabel := strings.CutPrefix(key, "opt.")
	switch {
	case isLabel && label != "":
		if n.connect.DriverOpts == nil {
			n.connect.DriverOpts = make(map[string]string)
		}
		n.connect.DriverOpts[label] = value
	case key == "ip":
		address, err := netip.ParseAddr(value)
		if err != nil {
			return invalid("ip %q: is not an IP address", value)
		}
		return n.setAddress(address)
	case key == "mac":
		n.connect.MAC, err = parseMAC(value)
	case key == "alias":
		n.connect.MyAliases = append(n.connect.MyAliases, value)
	case key == "name":
		n.connect.Name = value
	case key == "priority":
		if n.connect.Priority, err = strconv.Atoi(value); err != nil {
			return invalid("priority %q: want a number", value)
		}
	default:
		return invalid("option %q: is not known; want ip, mac, alias, name, priority or opt.LABEL", key)
	}
	return err
}

func (n *networkWish) setAddress(address netip.Addr) error {
	field := &n.connect.IPv4
	if address.Is6() {
		field = &n.connect.IPv6
	}
	switch {
	case address.Zone() != "" || address.Is4In6():
		return invalid("ip %q: want a plain IPv4 or IPv6 address", address)
	case field.IsValid():
		return invalid("ip %q: a network has one address of each family, and %q is given too", address, *field)
	}
	*field = address
	return nil
}

func parseMAC(text string) (string, error) {
	address, err := net.ParseMAC(text)
	if err != nil || len(address) != 6 {
		return "", invalid("mac %q: want six bytes, as 02:42:ac:11:00:02", text)
	}
	return address.String(), nil
}

func (w *wish) addAddress(text string) error {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return invalid("%q: is not an IP address", text)
	}
	w.addresses = append(w.addresses, address)
	return nil
}

func (w *wish) addPort(text string) error {
	port, err := api.ParsePortMapping(text)
	w.sandbox.Ports = append(w.sandbox.Ports, port)
	return err
}

func (w *wish) addServer(text string) error {
	if _, err := netip.ParseAddr(text); err != nil {
		return invalid("name server %q: is not an IP address", text)
	}
	w.sandbox.DNS = append(w.sandbox.DNS, text)
	return nil
}

func (w *wish) addHost(text string) error {
	name, address, found := strings.Cut(text, ":")
	if !found || name == "" || address == "" {
		return invalid("host %q: want NAME:ADDRESS", text)
	}
	w.sandbox.ExtraHosts = append(w.sandbox.ExtraHosts, api.ExtraHost{Name: name, Address: address})
	return nil
}

func (w *wish) setFiles(text string) error {
	if !slices.Contains([]string{filesNone, filesBundle, filesRootfs}, text) {
		return invalid("%q: want %s, %s or %s", text, filesNone, filesBundle, filesRootfs)
	}
	w.files = text
	return nil
}
