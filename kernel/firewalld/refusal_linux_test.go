package firewalld_test

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/firewalld"
)

// limit is for calls that hang: short, as it is waited for.
const limit = 80 * time.Millisecond

// openPeer opens a client that is as patient as the tests, openHasty one that is not.
func openPeer(t testing.TB, b *bus) (*firewalld.Client, error) {
	t.Helper()
	return openWithin(t, b, within)
}

func openHasty(t testing.TB, b *bus) (*firewalld.Client, error) {
	t.Helper()
	return openWithin(t, b, limit)
}

func openWithin(t testing.TB, b *bus, timeout time.Duration) (*firewalld.Client, error) {
	t.Helper()
	client, err := firewalld.Open(context.Background(), firewalld.Options{Address: b.address, Timeout: timeout})
	if err == nil {
		t.Cleanup(func() { check(t, client.Close()) })
	}
	return client, err
}

func TestOpenRefused(t *testing.T) {
	b := newBus(t)
	for _, c := range []struct {
		method string
		err    *dbus.Error
		kind   cnm.Kind
		parts  []string
	}{
		{"getZoneNames", dbus.NewError(service+".NotAuthorizedException", []any{"Not Authorized(uid): x"}), cnm.Forbidden, []string{firewalld.Zone, "root"}},
		{"getZoneNames", dbus.NewError("org.freedesktop.DBus.Error.AccessDenied", nil), cnm.Forbidden, []string{"root"}},
		{"addZone2", refuse("ACCESS_DENIED: lockdown is enabled"), cnm.Forbidden, []string{firewalld.Zone, "lockdown-off"}},
		{"addZone2", refuse("INVALID_TARGET: x"), cnm.Invalid, []string{firewalld.Zone, "INVALID_TARGET"}},
		{"getPolicyNames", dbus.NewError("org.freedesktop.DBus.Error.UnknownMethod", nil), cnm.Unsupported, []string{firewalld.Policy, "0.9"}},
		{"addPolicy", refuse("COMMAND_FAILED: nft said\nthis and that"), cnm.Unavailable, []string{firewalld.Policy, "COMMAND_FAILED: nft said (", "restart"}},
		{"getZones", refuse("UNKNOWN_ERROR: x"), cnm.Unavailable, []string{firewalld.Zone}},
		{"reload", refuse("INVALID_ZONE: broken"), cnm.Internal, []string{"reload", "check-config"}},
	} {
		t.Run(c.method, func(t *testing.T) {
			noLeaks(t)
			p := newPeer(t, b)
			p.fail(c.method, c.err)
			p.appear(t)
			_, err := openPeer(t, b)
			wantError(t, err, c.kind, append(c.parts, "open firewalld: ")...)
		})
	}
}

func TestOpenHangs(t *testing.T) {
	b := newBus(t)
	for _, method := range []string{"getZoneNames", "addPolicy", "getZones", "reload"} {
		t.Run(method, func(t *testing.T) {
			noLeaks(t)
			p := newPeer(t, b)
			p.hang(method)
			p.appear(t)
			begin := time.Now()
			_, err := openHasty(t, b)
			wantError(t, err, cnm.Timeout, "restart it")
			if took := time.Since(begin); took < limit || took > 100*limit {
				t.Errorf("took %s with a limit of %s", took, limit)
			}
		})
	}
}

func TestOpenCanceled(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.hang("getZoneNames")
	p.appear(t)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() {
		_, err := firewalld.Open(ctx, firewalld.Options{Address: b.address, Timeout: within})
		result <- err
	}()
	eventually(t, "the call", func() error {
		if p.count("getZoneNames") == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestOneReload(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.permanentZones = []string{"public"}
	p.appear(t)
	for range 3 {
		client, err := openPeer(t, b)
		check(t, err)
		check(t, client.Close())
	}
	for _, method := range []string{"addZone2", "addPolicy", "reload"} {
		if n := p.count(method); n != 1 {
			t.Errorf("%s was called %d times, want once", method, n)
		}
	}
	// Whoever made them may have ended before the reload.
	p.forget()
	client, err := openPeer(t, b)
	check(t, err)
	told(t, client)
	if n := p.count("reload"); n != 2 {
		t.Errorf("%d reloads, want another one", n)
	}
}

func TestNotTakenUp(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.fail("addZone2", refuse("NAME_CONFLICT: new_zone(): 'libnetwork'"))
	p.appear(t)
	_, err := openPeer(t, b)
	wantError(t, err, cnm.Internal, firewalld.Zone, "check-config")
	if n := p.count("reload"); n != 1 {
		t.Errorf("%d reloads, want 1", n)
	}
}

func TestLinks(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.appear(t)
	client, err := openPeer(t, b)
	check(t, err)
	ctx := context.Background()
	check(t, client.Add(ctx, "a", "b"))
	for _, text := range []string{"ZONE_ALREADY_SET: x", "ALREADY_ENABLED: x"} {
		p.fail("changeZoneOfInterface", refuse(text))
		check(t, client.Add(ctx, "a"))
	}
	for _, text := range []string{"UNKNOWN_INTERFACE: x", "NOT_ENABLED: x", "ZONE_CONFLICT: x", "INVALID_ZONE: x"} {
		p.fail("removeInterface", refuse(text))
		check(t, client.Remove(ctx, "c"))
	}
	p.fail("changeZoneOfInterface", refuse("INVALID_INTERFACE: c"))
	wantError(t, client.Add(ctx, "c"), cnm.Invalid, `"c"`, "INVALID_INTERFACE", "add to firewalld: ")
	p.fail("removeInterface", refuse("COMMAND_FAILED: nft"))
	wantError(t, client.Remove(ctx, "b"), cnm.Unavailable, `"b"`, "remove from firewalld: ")
	p.fail("changeZoneOfInterface", nil)
	p.fail("removeInterface", nil)
	check(t, client.Remove(ctx, "b"))
	if got := p.links(); got != "a" {
		t.Errorf("in the zone: got %q", got)
	}
}

func TestNames(t *testing.T) {
	client, err := firewalld.Open(context.Background(), firewalld.Options{Address: "unix:path=/nowhere/bus"})
	check(t, err)
	for _, link := range []string{"", "br+", "a b", "a/b", "a!", "*", "sixteen-bytes-xx"} {
		wantError(t, client.Add(context.Background(), "fine", link), cnm.Invalid, "link")
	}
	check(t, client.Add(context.Background(), "br-0123456789ab"))
	check(t, client.Close())
	check(t, client.Close())
	wantError(t, client.Add(context.Background(), "a"), cnm.Unavailable, "closed")
}

func TestAddHangs(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.appear(t)
	client, err := openWithin(t, b, 4*limit)
	check(t, err)
	p.hang("changeZoneOfInterface")
	wantError(t, client.Add(context.Background(), "a", "b"), cnm.Timeout, `"a"`, "restart it")
	if n := p.count("changeZoneOfInterface"); n != 1 {
		t.Errorf("%d calls, want 1: one link is enough to know", n)
	}
	p.release()
	check(t, client.Add(context.Background(), "a", "b"))
	if got := p.links(); got != "a b" {
		t.Errorf("in the zone: got %q", got)
	}
}

// TestGoneMeanwhile has the peer vanish while it is to answer: with it, its rules went.
func TestGoneMeanwhile(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.prepare()
	p.appear(t)
	client, err := openWithin(t, b, 5*limit)
	check(t, err)
	p.hang("changeZoneOfInterface")
	result := make(chan error, 1)
	go func() { result <- client.Add(context.Background(), "a") }()
	eventually(t, "the call", func() error {
		if p.count("changeZoneOfInterface") == 0 {
			return errors.New("not yet")
		}
		return nil
	})
	p.disappear(t)
	check(t, <-result)
	p.release()
	check(t, client.Add(context.Background(), "b"))
	p.appear(t)
	told(t, client)
	if got := p.links(); got != "a b" {
		t.Errorf("in the zone: got %q", got)
	}
}

// TestSlowStart has a firewalld that owns its name and does not answer yet.
func TestSlowStart(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	client, err := openHasty(t, b)
	check(t, err)
	p := newPeer(t, b)
	p.hang("getZoneNames")
	p.appear(t)
	eventually(t, "an error of Add", func() error {
		if err := client.Add(context.Background(), "a"); errors.Is(err, cnm.Timeout) {
			return nil
		}
		return errors.New("none")
	})
	p.release()
	told(t, client)
	if got := p.links(); got != "a" {
		t.Errorf("in the zone: got %q", got)
	}
	eventually(t, "another link", func() error { return client.Add(context.Background(), "b") })
}

// TestLinkRefusedLater has one link refused after a reload: the others are put back.
func TestLinkRefusedLater(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	client, err := openPeer(t, b)
	check(t, err)
	check(t, client.Add(context.Background(), "a"))
	p := newPeer(t, b)
	p.prepare()
	p.fail("changeZoneOfInterface", refuse("INVALID_INTERFACE: a"))
	p.appear(t)
	told(t, client)
	if !client.Running() {
		t.Error("one link is refused, and nothing runs")
	}
	p.fail("changeZoneOfInterface", nil)
	check(t, p.conn.Emit(object, service+".Reloaded"))
	told(t, client)
	if got := p.links(); got != "a" {
		t.Errorf("in the zone: got %q", got)
	}
}

func TestRefusedLater(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	client, err := openPeer(t, b)
	check(t, err)
	p := newPeer(t, b)
	p.fail("addZone2", refuse("ACCESS_DENIED: lockdown is enabled"))
	p.appear(t)
	told(t, client)
	wantError(t, client.Add(context.Background(), "a"), cnm.Forbidden, "lockdown")
	p.disappear(t)
	eventually(t, "sleep", func() error { return client.Add(context.Background(), "b") })
	p.fail("addZone2", nil)
	p.appear(t)
	told(t, client)
	if got := p.links(); got != "a b" {
		t.Errorf("in the zone: got %q", got)
	}
}

func TestNoBus(t *testing.T) {
	noLeaks(t)
	for _, address := range []string{"unix:path=/nowhere/bus", "unix:path=/dev/null/bus"} {
		begin := time.Now()
		client, err := firewalld.Open(context.Background(), firewalld.Options{Address: address})
		check(t, err)
		if took := time.Since(begin); took > limit {
			t.Errorf("%s: took %s", address, took)
		}
		check(t, errors.Join(client.Add(context.Background(), "a"), client.Remove(context.Background(), "a")))
		if client.Running() {
			t.Error("there is no bus, but the client says that firewalld runs")
		}
		check(t, client.Close())
	}
}

func TestBusOfTheEnvironment(t *testing.T) {
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "fax:number=1")
	_, err := firewalld.Open(context.Background(), firewalld.Options{})
	wantError(t, err, cnm.Unavailable, "fax:number=1", "DBUS_SYSTEM_BUS_ADDRESS")
}

func TestBusGoes(t *testing.T) {
	noLeaks(t)
	b := newBus(t)
	p := newPeer(t, b)
	p.appear(t)
	client, err := openPeer(t, b)
	check(t, err)
	b.daemon.stop(syscall.SIGKILL)
	eventually(t, "sleep", func() error {
		if client.Running() {
			return errors.New("the client says that firewalld runs")
		}
		return nil
	})
	check(t, client.Add(context.Background(), "a"))
}
