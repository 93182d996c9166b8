package kernel

import (
	"errors"
	"fmt"
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

func validateLimit(verb netstate.Verb, l netstate.Limit) error {
	if verb == netstate.Add {
		if err := CheckLimit(l); err != nil {
			return err
		}
	}
	if l.Through != "" {
		if err := validateName(l.Through); err != nil {
			return err
		}
	}
	return validateIndexed(verb, l.Link)
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
	if link.Kind == netstate.Adopted && (link.Source == "" || c.Namespace == "" && c.Verb != netstate.Delete) {
		return errors.New("a link is adopted from the host, where it has a name, into another namespace")
	}
	for _, name := range []string{link.Name, link.Master, link.Peer.Name, link.Parent, link.Source} {
		if err := validateName(name); err != nil && (name != "" || link.Name == "") {
			return err
		}
	}
	if link.MTU < 0 {
		return fmt.Errorf("MTU %d: want 0, for the default, or more", link.MTU)
	}
	if c.Verb == netstate.Create {
		return CheckParented(link)
	}
	return nil
}

// validateName knows what the kernel takes for a link's name (dev_valid_name in
// net/core/dev.c). Of a pattern such as "eth%d" it would make another.
func validateName(name string) error {
	if name == "" || len(name) >= unix.IFNAMSIZ || name == "." || name == ".." || strings.ContainsAny(name, "/:% \t\n\v\f\r\x00") {
		return fmt.Errorf("link name %q: want 1 to %d bytes without '/', ':', '%%' and blanks", name, unix.IFNAMSIZ-1)
	}
	return nil
}
