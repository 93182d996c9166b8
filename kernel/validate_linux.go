package kernel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/sysctl"
	"github.com/docker/libnetwork/netstate"
)

// maxAlias is the longest alias of a link, in bytes (IFALIASZ in
// include/uapi/linux/if.h, less the zero).
const maxAlias = 255

// validate refuses, before anything is changed, what the kernel would refuse half
// way or misunderstand.
func (h *host) validate(changes netstate.Changes) error {
	for _, c := range changes {
		if err := h.validateChange(c); err != nil {
			return changeError(c, cnm.E("", cnm.Invalid, err))
		}
	}
	return nil
}

func (h *host) validateChange(c netstate.Change) error {
	switch o := c.Object.(type) {
	case netstate.Link:
		return h.validateLink(c, o)
	case netstate.Addr:
		if !o.Prefix.IsValid() {
			return errors.New("the address is missing or has no prefix length")
		}
		return validateIndexed(c.Verb, o.Link)
	case netstate.Route:
		if !o.Destination.IsValid() {
			return errors.New("the destination is missing or has no prefix length")
		}
		if o.Gateway.IsValid() && o.Gateway.Is4() != o.Destination.Addr().Is4() {
			return errors.New("destination and gateway are of different families")
		}
		return validateIndexed(c.Verb, o.Link)
	case netstate.Neighbor:
		if !o.IP.IsValid() || c.Verb == netstate.Add && o.MAC.IsZero() {
			return errors.New("the IP or MAC address is missing")
		}
		return validateIndexed(c.Verb, o.Link)
	case netstate.Limit:
		return validateLimit(c.Verb, o)
	case netstate.Intent:
		if c.Namespace != "" {
			return errors.New("only the host's namespace has a packet filter of ours")
		}
		return validateIntent(c.Verb, o)
	case netstate.Sysctl:
		if c.Verb != netstate.Write {
			return fmt.Errorf("there is no verb %q for a sysctl", c.Verb)
		}
		return sysctl.Check(o.Key)
	}
	return errors.New("there is nothing to change")
}

func validateIndexed(verb netstate.Verb, link string) error {
	if verb != netstate.Add && verb != netstate.Remove {
		return fmt.Errorf("there is no verb %q for what is on a link", verb)
	}
	return validateName(link)
}

func (h *host) validateLink(c netstate.Change, link netstate.Link) error {
	switch c.Verb {
	case netstate.Create, netstate.Update, netstate.Delete:
		// Without an owner, one link of ours would pass for another.
		if link.Kind != netstate.Existing && (c.Owner == "" || len(h.mark)+len(c.Owner) > maxAlias) {
			return fmt.Errorf("owner %q: want 1 to %d bytes", c.Owner, maxAlias-len(h.mark))
		}
	case netstate.Raise:
	default:
		return fmt.Errorf("there is no verb %q for a link", c.Verb)
	}
	for _, name := range []string{link.Name, link.Master, link.Peer.Name, link.Parent} {
		if err := validateName(name); err != nil && (name != "" || link.Name == "") {
			return err
		}
	}
	if link.MTU < 0 {
		return fmt.Errorf("MTU %d: want 0, for the default, or more", link.MTU)
	}
	if c.Verb == netstate.Create {
		return validateParented(link)
	}
	return nil
}

// validateParented refuses a link that hangs on another in a way that its kind does not
// know.
func validateParented(link netstate.Link) error {
	var modes, flags []netstate.Mode
	switch link.Kind {
	case netstate.Macvlan:
		modes = []netstate.Mode{netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA, netstate.ModePassthru}
	case netstate.IPvlan:
		modes = []netstate.Mode{netstate.ModeL2, netstate.ModeL3, netstate.ModeL3S}
		flags = []netstate.Mode{netstate.ModeBridge, netstate.ModePrivate, netstate.ModeVEPA}
		if !link.MAC.IsZero() {
			return errors.New("an ipvlan link has the MAC address of its parent, and can have no other")
		}
	case netstate.VLAN:
		if link.VLANID < 1 || link.VLANID > 4094 {
			return fmt.Errorf("VLAN %d: want 1 to 4094", link.VLANID)
		}
	default:
		if link.Parent != "" || link.Mode != "" || link.Flag != "" || link.VLANID != 0 {
			return fmt.Errorf("a link of kind %q hangs on no parent", link.Kind)
		}
		return nil
	}
	if link.Parent == "" {
		return errors.New("the parent is missing")
	}
	if !slices.Contains(append(modes, ""), link.Mode) || (link.Mode == "") != (modes == nil) {
		return fmt.Errorf("mode %q: want one of %q", link.Mode, modes)
	}
	if !slices.Contains(append(flags, ""), link.Flag) || (link.Flag == "") != (flags == nil) {
		return fmt.Errorf("flag %q: want one of %q", link.Flag, flags)
	}
	return nil
}

// Bounds of a limit's burst: bytes that the kernel has room for beside what waits, and
// seconds, of which it counts 2^32 times 64 ns.
const (
	mostBurst      = 1 << 30
	longestSeconds = 270
)

func validateLimit(verb netstate.Verb, l netstate.Limit) error {
	if l.Through != "" {
		if err := validateName(l.Through); err != nil {
			return err
		}
	}
	if verb == netstate.Add {
		switch {
		case l.Rate < netstate.LeastRate || l.Rate > netstate.MostRate || l.Rate%8 != 0:
			return fmt.Errorf("rate %d: want a multiple of 8, %d to %d bits per second", l.Rate, uint64(netstate.LeastRate), uint64(netstate.MostRate))
		case l.Burst == 0 || l.Burst > mostBurst || uint64(l.Burst)*8/l.Rate > longestSeconds:
			return fmt.Errorf("burst %d: want 1 to %d bytes, and no more than pass in %d seconds", l.Burst, mostBurst, longestSeconds)
		}
	}
	return validateIndexed(verb, l.Link)
}

// validateName knows what the kernel takes for a link's name (dev_valid_name in
// net/core/dev.c).
func validateName(name string) error {
	if name == "" || len(name) >= unix.IFNAMSIZ || name == "." || name == ".." || strings.ContainsAny(name, "/: \t\n\v\f\r\x00") {
		return fmt.Errorf("link name %q: want 1 to %d bytes without '/', ':' and blanks", name, unix.IFNAMSIZ-1)
	}
	return nil
}
