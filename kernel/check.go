package kernel

import (
	"errors"
	"fmt"
	"slices"

	"github.com/docker/libnetwork/netstate"
)

// CheckParented refuses a link that hangs on another in a way that its kind does not
// know.
func CheckParented(link netstate.Link) error {
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

// CheckLimit refuses a limit that is out of bounds.
func CheckLimit(l netstate.Limit) error {
	switch {
	case l.Rate < netstate.LeastRate || l.Rate > netstate.MostRate || l.Rate%8 != 0:
		return fmt.Errorf("rate %d: want a multiple of 8, %d to %d bits per second", l.Rate, uint64(netstate.LeastRate), uint64(netstate.MostRate))
	case l.Burst == 0 || l.Burst > mostBurst || uint64(l.Burst)*8/l.Rate > longestSeconds:
		return fmt.Errorf("burst %d: want 1 to %d bytes, and no more than pass in %d seconds", l.Burst, mostBurst, longestSeconds)
	}
	return nil
}
