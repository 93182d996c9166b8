package firewalld

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
)

// thing is a zone or a policy: how firewalld lists and makes it.
type thing struct {
	kind, name string
	// permanent lists those of the permanent configuration, current those in force.
	permanent, current string
	create             string
	settings           map[string]dbus.Variant
}

// things are what setUp makes, in this order: the policy is for the zone.
func things() []thing {
	return []thing{{
		kind: "zone", name: Zone,
		permanent: configInterface + ".getZoneNames", current: zoneInterface + ".getZones",
		create: configInterface + ".addZone2",
		settings: map[string]dbus.Variant{
			"short":       dbus.MakeVariant(Zone),
			"description": dbus.MakeVariant(zoneDescription),
			"target":      dbus.MakeVariant("ACCEPT"),
		},
	}, {
		kind: "policy", name: Policy,
		permanent: configInterface + ".getPolicyNames", current: policyInterface + ".getPolicies",
		create: configInterface + ".addPolicy",
		settings: map[string]dbus.Variant{
			"short":         dbus.MakeVariant(Policy),
			"description":   dbus.MakeVariant(policyDescription),
			"target":        dbus.MakeVariant("ACCEPT"),
			"ingress_zones": dbus.MakeVariant([]string{"ANY"}),
			"egress_zones":  dbus.MakeVariant([]string{Zone}),
		},
	}}
}

// setUp makes zone and policy where they are missing, and has them put in force. What is
// there it leaves alone: somebody may have changed it on purpose.
func (c *Client) setUp(ctx context.Context) error {
	for _, t := range things() {
		if err := c.create(ctx, t); err != nil {
			return err
		}
	}
	missing, err := c.missing(ctx)
	if err != nil || missing == "" {
		return err
	}
	if err := c.reload(ctx); err != nil {
		return err
	}
	missing, err = c.missing(ctx)
	if err == nil && missing != "" {
		err = cnm.E("", cnm.Internal, fmt.Errorf("%s: is in the permanent configuration, but firewalld did not take it up (see \"journalctl -u firewalld\" and \"firewall-cmd --check-config\")", missing))
	}
	return err
}

// create puts the thing in the permanent configuration. Its first call may find
// firewalld starting.
func (c *Client) create(ctx context.Context, t thing) error {
	what := fmt.Sprintf("create %s %q", t.kind, t.name)
	var names []string
	if err := c.call(ctx, patience*c.timeout, configPath, t.permanent, &names); err != nil {
		return c.explain(what, err)
	}
	if slices.Contains(names, t.name) {
		return nil
	}
	err := c.call(ctx, c.timeout, configPath, t.create, nil, t.name, t.settings)
	if code(err) == codeNameConflict {
		return nil // somebody like us was faster
	}
	return c.explain(what, err)
}

// missing returns which of the things is not in force.
func (c *Client) missing(ctx context.Context) (string, error) {
	for _, t := range things() {
		var names []string
		if err := c.call(ctx, c.timeout, objectPath, t.current, &names); err != nil {
			return "", c.explain(fmt.Sprintf("look for %s %q", t.kind, t.name), err)
		}
		if !slices.Contains(names, t.name) {
			return fmt.Sprintf("%s %q", t.kind, t.name), nil
		}
	}
	return "", nil
}

// reload makes firewalld read the permanent configuration. A reload that firewalld
// refuses is Internal, and so not tried again by itself: each costs the machine its
// connections for a moment.
func (c *Client) reload(ctx context.Context) error {
	err := c.call(ctx, patience*c.timeout, objectPath, service+".reload", nil)
	c.echo = err == nil
	var refused dbus.Error
	if errors.As(err, &refused) {
		return cnm.E("", cnm.Internal, fmt.Errorf("reload: %w (correct what \"firewall-cmd --check-config\" complains of, then \"firewall-cmd --reload\")", err))
	}
	return c.explain("reload", err)
}

// restore makes firewalld have what it is to have, after it started or reloaded. It is
// no error if firewalld goes away meanwhile; Running is false then.
func (c *Client) restore(ctx context.Context) error {
	if err := c.take(ctx); err != nil {
		return err
	}
	defer c.give()
	err := c.setUp(ctx)
	if err == nil {
		err = c.putBack(ctx)
	}
	c.running.Store(err == nil)
	if err != nil && !c.stillThere() {
		err = nil
	}
	c.trouble = err
	return err
}

// putBack puts all links in the zone. One that firewalld refuses is logged, and keeps no
// other from its place.
func (c *Client) putBack(ctx context.Context) error {
	err := c.putIn(ctx, slices.Sorted(maps.Keys(c.links))...)
	if err == nil || temporary(err) {
		return err
	}
	c.log.Warn("firewalld refuses a link", "zone", Zone, "error", err)
	return nil
}
