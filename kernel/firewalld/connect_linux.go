package firewalld

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/cnm"
)

// usualAddress is that of the system bus where nothing else is set. The specification
// has /var/run, which is a link to /run or the other way round.
const usualAddress = "unix:path=/run/dbus/system_bus_socket"

// connect returns the connection to the bus; none, and no error, where there is no bus.
// It comes back in time even from a bus that accepts and says nothing.
func (c *Client) connect(ctx context.Context, address string) (*dbus.Conn, error) {
	address = cmp.Or(address, os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), usualAddress)
	type result struct {
		conn *dbus.Conn
		err  error
	}
	results := make(chan result, 1)
	// Close ends this, but does not wait for it: to connect to a bus that has no room for
	// one more can take any time.
	go func() {
		conn, err := dbus.Connect(address, dbus.WithContext(c.closing), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
		results <- result{conn, err}
	}()
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	select {
	case r := <-results:
		return r.conn, checkConnect(address, r.err)
	case <-ctx.Done():
		return nil, cnm.E("", cnm.Timeout, fmt.Errorf("bus %q: no answer within %s: %w (look at \"systemctl status dbus\")", address, c.timeout, ctx.Err()))
	}
}

func checkConnect(address string, err error) error {
	switch {
	case err == nil, errors.Is(err, syscall.ENOENT), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ECONNREFUSED):
		return nil
	default:
		return cnm.E("", cnm.Unavailable, fmt.Errorf("bus %q: %w (correct DBUS_SYSTEM_BUS_ADDRESS, or look at \"systemctl status dbus\")", address, err))
	}
}

// listen asks the bus for the signals that follow understands.
func (c *Client) listen(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := c.conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(busService), dbus.WithMatchInterface(busService),
		dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service))
	if err == nil {
		err = c.conn.AddMatchSignalContext(ctx, dbus.WithMatchSender(service), dbus.WithMatchInterface(service),
			dbus.WithMatchMember("Reloaded"))
	}
	return c.explain("listen to the bus", err)
}

// present asks the bus whether there is a firewalld.
func (c *Client) present(ctx context.Context) (present bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err = c.conn.BusObject().CallWithContext(ctx, busService+".NameHasOwner", 0, service).Store(&present)
	return present, c.explain("ask the bus for "+service, err)
}

// stillThere tells an error of firewalld from one that only says that firewalld, or the
// bus, went away meanwhile: that is no error, as its rules went with it.
func (c *Client) stillThere() bool {
	present, err := c.present(c.closing)
	return present || err != nil && c.conn.Connected()
}
