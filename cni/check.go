package cni

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

func errNoAttachment(c *configuration) error {
	return fail(types.ErrUnknownContainer, "container %q: has no interface %q in network %q; ADD comes first", c.attachment.container, c.attachment.ifname, c.network.Name)
}

// check compares the result of the ADD with the records, and these with the machine.
func check(ctx context.Context, b backend, c *configuration) error {
	if c.previous == nil {
		return invalid("key \"prevResult\": is missing for CHECK")
	}
	is, differences, err := b.check(ctx, c)
	if err != nil {
		return err
	}
	if err := is.agree(c); err != nil {
		return err
	}
	differences = slices.DeleteFunc(differences, tolerated)
	if len(differences) > 0 {
		wrong := types.NewError(codeNotAsMade, fmt.Sprintf("container %q, interface %q: is not as it was made", c.attachment.container, c.attachment.ifname), "")
		wrong.Details = "to mend it: " + strings.Join(differences, "; ")
		return wrong
	}
	return nil
}

// codeNotAsMade is what CHECK finds.
const codeNotAsMade = 105

// tolerated are changes that plugins behind this one may make: another MTU, another MAC
// address, other limits.
func tolerated(change string) bool {
	return strings.Contains(change, ": update link ") || strings.Contains(change, ": raise link ") || strings.Contains(change, " limit ")
}

// agree compares the earlier result with what is recorded. What it has more is others'.
func (a *attached) agree(c *configuration) error {
	at := c.attachment
	missing := func(what string) error {
		return types.NewError(codeNotAsMade, fmt.Sprintf("key \"prevResult\": container %q, interface %q: has no %s", at.container, at.ifname, what), "")
	}
	index := -1
	for i, link := range c.previous.Interfaces {
		if link.Name == at.ifname && link.Sandbox != "" {
			index = i
		}
	}
	if index < 0 {
		return missing("such interface")
	}
	for _, address := range a.addresses {
		listed := false
		for _, ip := range c.previous.IPs {
			own := ip.Interface == nil || *ip.Interface == index
			listed = listed || own && ip.Address.String() == address.String()
		}
		if !listed {
			return missing("address " + address.String())
		}
	}
	return nil
}
