package firewalld

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// longestName is that of a link without the closing zero: IFNAMSIZ - 1 (linux/if.h).
const longestName = 15

// Add remembers the links, and puts them in the zone if firewalld runs, out of any other
// zone that they are in. A link need not exist yet. Links that are in the zone already
// are no error. A name that firewalld cannot take is Invalid, and then none is
// remembered; after any other error all are, and Add can be repeated. It is an error if
// firewalld runs and does not do it: Timeout, Unavailable, Forbidden, ...
func (c *Client) Add(ctx context.Context, links ...string) error {
	for _, link := range links {
		if err := check(link); err != nil {
			return cnm.Wrap("add to firewalld", err)
		}
	}
	if err := c.take(ctx); err != nil {
		return cnm.Wrap("add to firewalld", err)
	}
	defer c.give()
	for _, link := range links {
		c.links[link] = struct{}{}
	}
	if c.trouble != nil {
		return cnm.Wrap("add to firewalld", c.trouble)
	}
	return c.whileRunning(ctx, "add to firewalld", c.putIn, links)
}

// Remove forgets the links, and takes them out of the zone if firewalld runs. Links that
// are not in the zone are no error; those in another zone stay there. After an error the
// links are forgotten all the same, and Remove can be repeated.
func (c *Client) Remove(ctx context.Context, links ...string) error {
	if err := c.take(ctx); err != nil {
		return cnm.Wrap("remove from firewalld", err)
	}
	defer c.give()
	for _, link := range links {
		delete(c.links, link)
	}
	return c.whileRunning(ctx, "remove from firewalld", c.takeOut, links)
}

// whileRunning does something with links if firewalld runs. If firewalld goes away
// meanwhile, that was not necessary.
func (c *Client) whileRunning(ctx context.Context, op string, do func(context.Context, ...string) error, links []string) error {
	if !c.running.Load() {
		return nil
	}
	err := do(ctx, links...)
	switch {
	case err == nil:
		return nil
	case c.closing.Err() != nil:
		return cnm.Wrap(op, errClosed())
	case !c.stillThere():
		return nil
	}
	return cnm.Wrap(op, err)
}

// putIn puts links in the zone. It goes on after a link that firewalld refuses, and
// stops when firewalld does not answer.
func (c *Client) putIn(ctx context.Context, links ...string) error {
	// This method also puts in what is in no zone, and is silent about what is there.
	return c.each(ctx, "changeZoneOfInterface", "put in", []string{codeZoneAlreadySet, codeAlreadyEnabled}, links)
}

func (c *Client) takeOut(ctx context.Context, links ...string) error {
	fine := []string{codeUnknownInterface, codeNotEnabled, codeZoneConflict, codeInvalidZone}
	return c.each(ctx, "removeInterface", "take out", fine, links)
}

// each calls a method of the zone for each link. Errors with the codes that are fine are
// none.
func (c *Client) each(ctx context.Context, method, verb string, fine, links []string) error {
	var refusals []error
	for _, link := range links {
		err := c.call(ctx, c.timeout, objectPath, zoneInterface+"."+method, nil, Zone, link)
		if err == nil || slices.Contains(fine, code(err)) {
			continue
		}
		err = c.explain(fmt.Sprintf("zone %q: %s link %q", Zone, verb, link), err)
		if temporary(err) {
			return err
		}
		refusals = append(refusals, err)
	}
	return errors.Join(refusals...)
}

// check refuses names that are none to firewalld, or stand for more than one link: it
// takes one that ends in + for all links that begin like that.
func check(link string) error {
	if link == "" || len(link) > longestName || strings.ContainsAny(link, "/ !*+") {
		return cnm.E("", cnm.Invalid, fmt.Errorf("link %q: want a name of 1 to %d bytes, without blanks and any of / ! * +", link, longestName))
	}
	return nil
}
