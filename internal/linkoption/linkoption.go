// Package linkoption decodes the options that all endpoints with an interface have,
// whatever their driver: its name, its settings, how fast it is. It also has what such
// drivers make of an endpoint's record in the same way.
package linkoption

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"strings"
	"unicode"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/internal/label"
	"github.com/docker/libnetwork/netstate"
)

// Names of the options.
const (
	prefix       = "com.docker.network.endpoint."
	optName      = prefix + "name"
	optIfname    = prefix + "ifname"
	optSysctls   = prefix + "sysctls"
	optIngress   = prefix + "bandwidth.ingress"
	optEgress    = prefix + "bandwidth.egress"
	burst        = ".burst"
	inBurst      = optIngress + burst
	outBurst     = optEgress + burst
	bitsPerByte  = 8
	headerLength = 18 // of an Ethernet frame, with a VLAN tag, in bytes
)

// Endpoint is what the options of an endpoint say.
type Endpoint struct {
	// Ifname is the interface's name; empty leaves it to the controller.
	Ifname string
	// Ingress bounds what the container receives, Egress what it sends.
	Ingress, Egress Bandwidth
	settings        []netstate.Sysctl // with placeholder
}

// Bandwidth bounds a rate. The zero Bandwidth does not.
type Bandwidth struct {
	// Rate is in bits per second, a multiple of 8, and Burst in bytes.
	Rate  uint64
	Burst uint32
}

// placeholder stands for the interface's name in the keys of an endpoint's sysctls.
const placeholder = "IFNAME"

// Parse reads an endpoint's options. The MTU, in bytes, is that of its interface; zero
// means that it is not known.
func Parse(ep *cnm.Endpoint, mtu int) (*Endpoint, error) {
	return parse(ep.Options, mtu)
}

// ParseOurs is Parse for an endpoint that has other options as well, which are somebody
// else's business.
func ParseOurs(ep *cnm.Endpoint, mtu int) (*Endpoint, error) {
	ours := make(map[string]string)
	for _, spellings := range known() {
		if value, ok := ep.Options[spellings[0]]; ok {
			ours[spellings[0]] = value
		}
	}
	return parse(ours, mtu)
}

// known are the options of every endpoint with an interface.
func known() [][]string {
	return [][]string{{optName}, {optIfname}, {optSysctls}, {optIngress}, {optEgress}, {inBurst}, {outBurst}}
}

func parse(options map[string]string, mtu int) (*Endpoint, error) {
	d := label.NewDecoder(options, known()...)
	e := &Endpoint{Ifname: d.String(optIfname)}
	if d.Has(optIfname) && !ValidName(e.Ifname) {
		d.Refuse(optIfname, "an interface name: 1 to 15 characters without blanks, '/', ':' and '%'")
	}
	for setting := range strings.SplitSeq(d.String(optSysctls), ",") {
		if setting = strings.TrimSpace(setting); setting == "" {
			continue
		}
		key, value, ok := strings.Cut(setting, "=")
		parts := strings.Split(key, ".")
		if !ok || len(parts) < 5 || parts[0] != "net" || parts[1] != "ipv4" && parts[1] != "ipv6" || parts[3] != placeholder {
			d.Refuse(optSysctls, "settings such as net.ipv4.conf.IFNAME.log_martians=1, separated by commas")
			break
		}
		e.settings = append(e.settings, netstate.Sysctl{Key: strings.Join(parts, "/"), Value: value})
	}
	if mtu == 0 {
		mtu = netstate.DefaultMTU
	}
	e.Ingress, e.Egress = bandwidth(d, optIngress, mtu), bandwidth(d, optEgress, mtu)
	return e, d.Err()
}

// Sysctls returns the endpoint's settings for the interface.
func (e *Endpoint) Sysctls(link string) []netstate.Sysctl {
	var out []netstate.Sysctl
	for _, s := range e.settings {
		s.Key = strings.Replace(s.Key, "/"+placeholder+"/", "/"+link+"/", 1)
		out = append(out, s)
	}
	return out
}

// Bounds of a burst: what is counted in 10 ms, as the timers of a busy machine are late,
// and some full packets, in bytes.
const (
	burstsPerSecond = 100
	leastBurst      = 16 << 10
	mostBurst       = 1 << 30
	longestBurst    = 270 // seconds
)

// bandwidth reads a rate with its burst, both in bits.
func bandwidth(d *label.Decoder, name string, mtu int) Bandwidth {
	largest := uint64(mtu + headerLength)
	if !d.Has(name) {
		if d.Has(name + burst) {
			d.Refuse(name+burst, "none without "+name)
		}
		return Bandwidth{}
	}
	rate, err := ParseBits(d.String(name))
	if err != nil || rate < netstate.LeastRate || rate > netstate.MostRate {
		d.Refuse(name, "bits per second, 8k to 400G")
		return Bandwidth{}
	}
	b := Bandwidth{
		Rate:  rate / bitsPerByte * bitsPerByte,
		Burst: uint32(min(max(rate/bitsPerByte/burstsPerSecond, leastBurst, largest), mostBurst)),
	}
	if d.Has(name + burst) {
		bits, err := ParseBits(d.String(name + burst))
		if most := min(mostBurst*bitsPerByte, rate*longestBurst); err != nil || bits < largest*bitsPerByte || bits > most {
			d.Refuse(name+burst, fmt.Sprintf("bits, %d (the largest packet) to %d", largest*bitsPerByte, most))
		}
		b.Burst = uint32(bits / bitsPerByte)
	}
	return b
}

// ParseBits reads a number with k, M or G behind it, for powers of a thousand. Their case
// does not matter, but for m, which is a thousandth to others.
func ParseBits(text string) (uint64, error) {
	digits, factor := text, uint64(1)
	if text != "" {
		digits = text[:len(text)-1]
		switch text[len(text)-1] {
		case 'k', 'K':
			factor = 1e3
		case 'M':
			factor = 1e6
		case 'g', 'G':
			factor = 1e9
		default:
			digits = text
		}
	}
	const longest = 15 // digits: more than any rate, with room for the factor
	if digits == "" || len(digits) > longest-len(fmt.Sprint(factor))+1 {
		return 0, fmt.Errorf("%q: want a number with k, M or G behind it", text)
	}
	var n uint64
	for _, r := range []byte(digits) {
		if r < '0' || r > '9' {
			return 0, fmt.Errorf("%q: want a number with k, M or G behind it", text)
		}
		n = 10*n + uint64(r-'0')
	}
	return n * factor, nil
}

// Limits returns a bandwidth as a limit of a link, none if it has no bounds.
func (b Bandwidth) Limits(link, through string) []netstate.Limit {
	if b.Rate == 0 {
		return nil
	}
	return []netstate.Limit{{Link: link, Through: through, Rate: b.Rate, Burst: b.Burst}}
}

// Local makes a unicast address of the locally administered range (IEEE 802 section 8.4)
// from random bytes.
func Local(b []byte) netstate.MAC {
	var mac netstate.MAC
	copy(mac[:], b)
	mac[0] = mac[0]&^1 | 2
	return mac
}

// ChooseMAC gives an endpoint that asks for none a random address.
func ChooseMAC(ep *cnm.Endpoint) error {
	if ep.MAC.IsZero() {
		var b [6]byte
		if _, err := rand.Read(b[:]); err != nil {
			return cnm.E("MAC address", cnm.Internal, err)
		}
		b[0] = 0x02
		ep.MAC = Local(b[:])
	}
	return CheckMAC(ep)
}

// CheckMAC refuses an address that no single link can have.
func CheckMAC(ep *cnm.Endpoint) error {
	if ep.MAC[0]&1 != 0 {
		return cnm.E("", cnm.Invalid, fmt.Errorf("MAC address %q: is a multicast address; the lowest bit of its first byte must be 0", ep.MAC))
	}
	return nil
}

// Addresses returns those of an endpoint, on its interface.
func Addresses(ep *cnm.Endpoint) []netstate.Addr {
	var out []netstate.Addr
	for _, prefix := range append([]netip.Prefix{ep.IPv4, ep.IPv6}, ep.LinkLocal...) {
		if prefix.IsValid() {
			out = append(out, netstate.Addr{Link: ep.Interface, Prefix: prefix})
		}
	}
	return out
}

// UsesIPv6 reports whether an endpoint has an IPv6 address.
func UsesIPv6(ep *cnm.Endpoint) bool {
	for _, prefix := range ep.LinkLocal {
		if prefix.Addr().Is6() {
			return true
		}
	}
	return ep.IPv6.IsValid()
}

// IPv6Sysctls set a link up with addresses of ours, and of nobody else: no router
// advertisement is believed, and duplicate detection is left to the IPAM. A link without
// IPv6 needs none: it gets no address.
func IPv6Sysctls(link string, enabled bool) []netstate.Sysctl {
	key := func(name string) string { return "net/ipv6/conf/" + link + "/" + name }
	if !enabled {
		return nil
	}
	return []netstate.Sysctl{
		{Key: key("disable_ipv6"), Value: "0"},
		{Key: key("accept_ra"), Value: "0"},
		{Key: key("accept_dad"), Value: "0"},
	}
}

// Bounds of a link's MTU in bytes: IPv4 needs 68 (RFC 791), IPv6 1280 (RFC 8200
// section 5); the upper one is the kernel's, for all links that we make.
const (
	lowestMTU     = 68
	lowestMTUIPv6 = 1280
	highestMTU    = 65535
)

// MTU reads the option of a network; zero if there is none.
func MTU(d *label.Decoder, name string, ipv6 bool) int {
	lowest := lowestMTU
	if ipv6 {
		lowest = lowestMTUIPv6
	}
	return d.Int(name, lowest, highestMTU, 0)
}

// maxLinkName is the kernel's IFNAMSIZ without the closing zero.
const maxLinkName = 15

// ValidName follows dev_valid_name in the kernel's net/core/dev.c, and refuses patterns such
// as "eth%d", of which the kernel makes another name.
func ValidName(name string) bool {
	return name != "" && len(name) <= maxLinkName && name != "." && name != ".." &&
		!strings.ContainsFunc(name, func(r rune) bool {
			return r == '/' || r == ':' || r == '%' || unicode.IsSpace(r) || unicode.IsControl(r)
		})
}
