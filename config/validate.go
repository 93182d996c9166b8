package config

import (
	"errors"
	"maps"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/docker/libnetwork/datastore"
	"github.com/docker/libnetwork/types"
)

// Bounds of AnnounceCfg, those of the labels netlabel.AdvertiseAddrNMsgs and
// netlabel.AdvertiseAddrIntervalMs.
const (
	maxAnnounceCount    = 3
	minAnnounceInterval = 100 * time.Millisecond
	maxAnnounceInterval = 2 * time.Second
)

// Validate returns all that is wrong with the configuration, as one
// types.BadRequestError, or nil. It changes nothing, and looks at no file.
func (c *Config) Validate() error {
	found := slices.Clone(c.problems)
	found = append(found, c.Daemon.validate()...)
	found = append(found, c.Dnet.validate()...)
	for _, name := range slices.Sorted(maps.Keys(c.Scopes)) {
		if err := validateScope(name, c.Scopes[name]); err != nil {
			found = append(found, err)
		}
	}
	found = slices.DeleteFunc(found, func(err error) bool { return err == nil })
	if len(found) == 0 {
		return nil
	}
	return types.BadRequestErrorf("configuration: %w", problems(found))
}

func (d *DaemonCfg) validate() []error {
	found := []error{
		validatePath("data dir", d.DataDir),
		validatePath("exec root", d.ExecRoot),
		validatePath("host namespace", d.HostNamespace),
		validateName("default network", d.DefaultNetwork),
		validateName("default driver", d.DefaultDriver),
		d.Announce.validate(),
	}
	switch d.FirewallBackend {
	case "", FirewallNFTables, FirewallIPTables, FirewallIPTablesNFT, FirewallIPTablesLegacy, FirewallNone:
	default:
		found = append(found, types.BadRequestErrorf("firewall back end %q: want %q, %q, %q, %q, %q, or nothing for the first that works",
			d.FirewallBackend, FirewallNFTables, FirewallIPTables, FirewallIPTablesNFT, FirewallIPTablesLegacy, FirewallNone))
	}
	for _, folder := range slices.Concat(d.Plugins.SocketFolders, d.Plugins.SpecFolders) {
		found = append(found, validatePath("plugin folder", folder))
	}
	_, _, err := ParseMark(d.AcceptMark)
	found = append(found, err)
	for _, pool := range d.DefaultAddressPools {
		found = append(found, pool.validate())
	}
	for _, text := range d.NeverUse {
		if _, err := parsePrefix(text); err != nil {
			found = append(found, types.BadRequestErrorf("never use %q: %w", text, err))
		}
	}
	return found
}

func validatePath(what, name string) error {
	switch {
	case name == "":
		return nil
	case strings.ContainsFunc(name, unicode.IsControl):
		return types.BadRequestErrorf("%s %q: holds control characters", what, name)
	case !path.IsAbs(name) && !filepath.IsAbs(name):
		return types.BadRequestErrorf("%s %q: not an absolute path", what, name)
	default:
		return nil
	}
}

func validateName(what, name string) error {
	if name == "" || IsValidName(name) {
		return nil
	}
	return types.BadRequestErrorf("%s %q: must not be blank or hold control characters", what, name)
}

func validateScope(name string, scope *datastore.ScopeCfg) error {
	switch {
	case scope == nil || *scope == datastore.ScopeCfg{} || scope.IsValid():
		return nil
	case strings.TrimSpace(scope.Client.Provider) == "":
		return types.BadRequestErrorf("store of scope %q: has no provider; name one, such as %q", name, datastore.ProviderBolt)
	default:
		return types.BadRequestErrorf("store of scope %q: provider %q has no address", name, scope.Client.Provider)
	}
}

func (a AnnounceCfg) validate() error {
	switch {
	case a.Count < 0 || a.Count > maxAnnounceCount:
		return types.BadRequestErrorf("announce: count %d is not from 0 to %d", a.Count, maxAnnounceCount)
	case a.Count > 0 && (a.Interval < minAnnounceInterval || a.Interval > maxAnnounceInterval):
		return types.BadRequestErrorf("announce: interval %s is not from %s to %s", a.Interval, minAnnounceInterval, maxAnnounceInterval)
	default:
		return nil
	}
}

func (p AddressPool) validate() error {
	base, err := parsePrefix(p.Base)
	if err != nil {
		return types.BadRequestErrorf("address pool %q: %w", p.Base, err)
	}
	if p.Size < base.Bits() || p.Size > base.Addr().BitLen() {
		return types.BadRequestErrorf("address pool %q: size %d is not from %d to %d", p.Base, p.Size, base.Bits(), base.Addr().BitLen())
	}
	return nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, errors.New("not in CIDR form, as 10.0.0.0/8")
	case prefix.Addr().Is4In6():
		return prefix, errors.New("is IPv4 in IPv6 form; write it as IPv4")
	case prefix != prefix.Masked():
		return prefix, types.BadRequestErrorf("has bits set beyond its length; did you mean %q?", prefix.Masked())
	default:
		return prefix, nil
	}
}

// problems is a list of errors on one line.
type problems []error

// Error implements error.
func (p problems) Error() string {
	texts := make([]string, len(p))
	for i, err := range p {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Unwrap returns the errors.
func (p problems) Unwrap() []error { return p }

// ParseMark reads the text of DaemonCfg.AcceptMark: a packet's mark counts if it is the
// mark in the bits of the mask. Without a mask all bits count; of an empty text none do,
// and the mask is 0. Another text is a types.BadRequestError.
func ParseMark(text string) (mark, mask uint32, err error) {
	if text == "" {
		return 0, 0, nil
	}
	first, second, masked := strings.Cut(text, "/")
	if !masked {
		second = "0xffffffff"
	}
	m, err := strconv.ParseUint(first, 0, 32)
	k, maskErr := strconv.ParseUint(second, 0, 32)
	if err != nil || maskErr != nil || k == 0 || m&^k != 0 {
		return 0, 0, types.BadRequestErrorf("accept mark %q: want a mark of 32 bits, or mark/mask where the mask is not 0 and covers the mark, such as 0x1/0xff", text)
	}
	return uint32(m), uint32(k), nil
}
