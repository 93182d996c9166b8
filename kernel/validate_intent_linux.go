package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/netstate"
)

// validateIntent refuses what no back end could render, and what would mean something
// else than it says.
func validateIntent(verb netstate.Verb, i netstate.Intent) error {
	if verb != netstate.Add && verb != netstate.Remove {
		return fmt.Errorf("there is no verb %q for an intent", verb)
	}
	if parsed, err := netstate.ParseIntent(i.String()); err != nil || parsed != i {
		return fmt.Errorf("%s: has fields that its kind does not use, or lacks some: %+v", i.Kind, i)
	}
	switch i.Kind {
	case netstate.Allow:
		return errors.Join(validateName(i.From), validateName(i.Link))
	case netstate.Inbound, netstate.Confine, netstate.Loopback, netstate.Separate:
		return validateName(i.Link)
	case netstate.Hairpin:
		return errors.Join(validateName(i.Link), validatePrefix(i.Prefix))
	case netstate.Masquerade:
		if i.Source.IsValid() && i.Source.Is4() != i.Prefix.Addr().Is4() {
			return fmt.Errorf("the source %s is of another family than %s", i.Source, i.Prefix)
		}
		return validatePrefix(i.Prefix)
	case netstate.Publish:
		return validatePublish(i)
	}
	return validatePorts(i)
}

func validatePrefix(p netip.Prefix) error {
	if p != p.Masked() || p.Addr().Is4In6() {
		return fmt.Errorf("prefix %s: is not masked", p)
	}
	return nil
}

func validatePorts(i netstate.Intent) error {
	if i.Port == 0 || i.PortEnd < i.Port {
		return fmt.Errorf("ports %d to %d: want at least one, from 1 on", i.Port, i.PortEnd)
	}
	if !i.Target.IsValid() || i.Target.Zone() != "" || i.Target.Is4In6() {
		return fmt.Errorf("target %s: is no plain address", i.Target)
	}
	return nil
}

func validatePublish(i netstate.Intent) error {
	switch {
	case i.Host.Is4() != i.Target.Is4() || i.Host.Zone() != "":
		return fmt.Errorf("host address %s: want a plain one of the family of %s", i.Host, i.Target)
	case i.TargetPort == 0:
		return errors.New("the container's port is 0")
	case i.PortEnd != i.Port && i.TargetPort != i.Port:
		return fmt.Errorf("ports %d to %d: a range is mapped one to one, not to %d and so on", i.Port, i.PortEnd, i.TargetPort)
	}
	return validatePorts(i)
}
