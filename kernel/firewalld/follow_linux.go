package firewalld

import (
	"time"

	"github.com/godbus/dbus/v5"
)

// Waits between attempts to set firewalld up: each doubles the last.
const (
	firstWait   = 250 * time.Millisecond
	longestWait = time.Minute
)

// news is what a signal says of firewalld.
type news int

const (
	nothing news = iota
	gone
	fresh // it started, or has forgotten its links in a reload
	echo  // the reload that we asked for
)

// follow acts on the bus's signals until it is gone or the client is closed.
func (c *Client) follow(signals <-chan *dbus.Signal) {
	wait := firstWait
	var again <-chan time.Time
	for {
		select {
		case signal, ok := <-signals:
			if !ok {
				c.sleep()
				return
			}
			switch c.read(signal) {
			case nothing:
				continue
			case gone:
				c.sleep()
				again = nil
				continue
			case echo:
				c.tell()
				continue
			case fresh:
				wait = firstWait
			}
		case <-again:
		}
		again = nil
		err := c.restore(c.closing)
		if temporary(err) {
			c.log.Warn("firewalld is not set up, will try again", "wait", wait, "error", err)
			again = time.After(wait)
			wait = min(2*wait, longestWait)
			continue
		}
		if err == nil && !c.Running() {
			continue // it is gone again, as the next signal will say
		}
		if err != nil {
			c.log.Error("firewalld is not set up, and rejects what goes to containers", "error", err)
		}
		c.tell()
	}
}

func (c *Client) read(signal *dbus.Signal) news {
	switch signal.Name {
	case reloadedSignal:
		if c.echo {
			c.echo = false
			return echo
		}
		return fresh
	case ownerSignal:
		var name, before, after string
		if dbus.Store(signal.Body, &name, &before, &after) != nil || name != service {
			return nothing
		}
		c.echo = false
		if after == "" {
			return gone
		}
		return fresh
	}
	return nothing
}

// sleep makes the client dormant.
func (c *Client) sleep() {
	c.running.Store(false)
	if c.take(c.closing) == nil {
		c.trouble = nil
		c.give()
	}
}

// tell signals a reload, unless one is still to be read.
func (c *Client) tell() {
	select {
	case c.reloaded <- struct{}{}:
	default:
	}
}
