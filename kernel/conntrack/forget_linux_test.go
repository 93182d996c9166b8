package conntrack_test

import "testing"

func TestRemovedForgetsWhatWasLedThere(t *testing.T) {
	forgets(t, removed(parse(t, "udp 0.0.0.0:53 to 172.18.0.2:5353")),
		"udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:5353 gone",
		"udp 198.51.100.9:1001 to 192.0.2.2:53 at 172.18.0.2:5353 gone",
		"udp 127.0.0.1:1002 to 127.0.0.1:53 at 172.18.0.2:5353 gone",
		"udp 172.18.0.3:1003 to 192.0.2.1:53 at 172.18.0.2:5353 --src-nat 172.18.0.1 gone",
		// another port of the host
		"udp 198.51.100.9:1004 to 192.0.2.1:54 at 172.18.0.2:5353",
		// another port of the container
		"udp 198.51.100.9:1005 to 192.0.2.1:53 at 172.18.0.2:5354",
		// another container
		"udp 198.51.100.9:1006 to 192.0.2.1:53 at 172.18.0.3:5353",
		// another protocol
		"tcp 198.51.100.9:1007 to 192.0.2.1:53 at 172.18.0.2:5353",
		// to the container as such, from it, through the host, and to the host
		"udp 198.51.100.9:1008 to 172.18.0.2:5353", "udp 198.51.100.9:1009 to 172.18.0.2:53",
		"udp 172.18.0.2:5353 to 198.51.100.9:53", "udp 172.18.0.2:5353 to 198.51.100.9:54 --src-nat 192.0.2.1",
		"udp 198.51.100.9:1010 to 203.0.113.1:53", "udp 198.51.100.9:1011 to 192.0.2.1:53")
}

func TestRemovedForgetsOneHostAddress(t *testing.T) {
	forgets(t, removed(parse(t, "tcp 192.0.2.1:80 to 172.18.0.2:80")),
		"tcp 198.51.100.9:1000 to 192.0.2.1:80 at 172.18.0.2:80 gone",
		"tcp 198.51.100.9:1001 to 192.0.2.2:80 at 172.18.0.2:80",
		"tcp 198.51.100.9:1002 to 127.0.0.1:80 at 172.18.0.2:80",
		"tcp 198.51.100.9:1003 to 172.18.0.2:80")
}

// TestRemovedSamePort publishes a port as itself: what was not translated looks the same
// but for the host's address.
func TestRemovedSamePort(t *testing.T) {
	forgets(t, removed(parse(t, "tcp 0.0.0.0:80 to 172.18.0.2:80")),
		"tcp 198.51.100.9:1000 to 192.0.2.1:80 at 172.18.0.2:80 gone",
		"tcp 198.51.100.9:1001 to 172.18.0.2:80", "tcp 172.18.0.2:80 to 198.51.100.9:80")
}

func TestRemovedForgetsRanges(t *testing.T) {
	forgets(t, removed(parse(t, "udp 0.0.0.0:20000-29999 to 172.18.0.2:20000")),
		"udp 198.51.100.9:1000 to 192.0.2.1:20000 at 172.18.0.2:20000 gone",
		"udp 198.51.100.9:1001 to 192.0.2.1:25000 at 172.18.0.2:25000 gone",
		"udp 198.51.100.9:1002 to 192.0.2.1:29999 at 172.18.0.2:29999 gone",
		"udp 198.51.100.9:1003 to 192.0.2.1:19999 at 172.18.0.2:19999",
		"udp 198.51.100.9:1004 to 192.0.2.1:30000 at 172.18.0.2:30000",
		"udp 198.51.100.9:1005 to 192.0.2.1:25000 at 172.18.0.2:25001",
		"udp 198.51.100.9:1006 to 172.18.0.2:25000")
	// Few enough for a deletion of each.
	forgets(t, removed(parse(t, "tcp 192.0.2.1:8000-8002 to 172.18.0.2:8000")),
		"tcp 198.51.100.9:1000 to 192.0.2.1:8000 at 172.18.0.2:8000 gone",
		"tcp 198.51.100.9:1001 to 192.0.2.1:8002 at 172.18.0.2:8002 gone",
		"tcp 198.51.100.9:1002 to 192.0.2.1:8002 at 172.18.0.2:8000",
		"tcp 198.51.100.9:1003 to 192.0.2.1:8003 at 172.18.0.2:8003",
		"tcp 198.51.100.9:1004 to 192.0.2.2:8001 at 172.18.0.2:8001")
	forgets(t, removed(parse(t, "tcp 192.0.2.1:8000-8002 to 172.18.0.2:8000"), parse(t, "tcp 192.0.2.1:1-65535 to 172.18.0.3:1")),
		"tcp 198.51.100.9:1000 to 192.0.2.1:8002 at 172.18.0.2:8002 gone",
		"tcp 198.51.100.9:1001 to 192.0.2.1:65535 at 172.18.0.3:65535 gone",
		"tcp 198.51.100.9:1002 to 192.0.2.2:65535 at 172.18.0.3:65535")
}

func TestRemovedForgetsIPv6(t *testing.T) {
	forgets(t, removed(parse(t, "udp [::]:53 to [fd00::2]:53"), parse(t, "tcp [2001:db8::1]:80 to [fd00::2]:8080"), parse(t, "tcp 0.0.0.0:80 to 172.18.0.2:8080")),
		"udp [2001:db8:9::1]:1000 to [2001:db8::1]:53 at [fd00::2]:53 gone",
		"udp [2001:db8:9::1]:1001 to [2001:db8::2]:53 at [fd00::2]:53 gone",
		"tcp [2001:db8:9::1]:1002 to [2001:db8::1]:80 at [fd00::2]:8080 gone",
		"tcp 198.51.100.9:1003 to 192.0.2.1:80 at 172.18.0.2:8080 gone",
		"tcp [2001:db8:9::1]:1004 to [2001:db8::2]:80 at [fd00::2]:8080",
		"udp [2001:db8:9::1]:1005 to [fd00::2]:53",
		"udp 198.51.100.9:1006 to 192.0.2.1:53 at 172.18.0.2:53")
}

// TestRemovedTellsPortsOfSCTPApart, which filters of the kernel do not.
func TestRemovedTellsPortsOfSCTPApart(t *testing.T) {
	forgets(t, removed(parse(t, "sctp 0.0.0.0:36412 to 172.18.0.2:36412")),
		"sctp 198.51.100.9:1000 to 192.0.2.1:36412 at 172.18.0.2:36412 gone",
		"sctp 198.51.100.9:1001 to 192.0.2.1:36413 at 172.18.0.2:36413",
		"sctp 198.51.100.9:1002 to 192.0.2.1:36412 at 172.18.0.3:36412",
		"sctp 198.51.100.9:1003 to 172.18.0.2:36412",
		"udp 198.51.100.9:1004 to 192.0.2.1:36412 at 172.18.0.2:36412")
}

func TestZones(t *testing.T) {
	entries := []string{
		"udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53 gone",
		"udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53 -w 5 gone",
		"udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53 --orig-zone 6 gone",
		"udp 198.51.100.9:1001 to 192.0.2.1:53 at 172.18.0.2:53 --reply-zone 7 gone",
		"udp 198.51.100.9:1000 to 192.0.2.1:54 at 172.18.0.4:53 -w 5",
	}
	forgets(t, removed(parse(t, "udp 0.0.0.0:53 to 172.18.0.2:53")), entries...)
	forgets(t, added(parse(t, "udp 0.0.0.0:53 to 172.18.0.3:53")), entries...)
	forgets(t, released("172.18.0.2"), entries...)
}

func TestAddedForgetsWhatBeganBefore(t *testing.T) {
	forgets(t, added(parse(t, "udp 0.0.0.0:53 to 172.18.0.2:5353")),
		"udp 198.51.100.9:1000 to 192.0.2.1:53 gone",
		"udp 198.51.100.9:1001 to 192.0.2.2:53 gone",
		"udp 172.18.0.3:1002 to 192.0.2.1:53 gone",
		// led to who had the port before, to another container or another port
		"udp 198.51.100.9:1003 to 192.0.2.1:53 at 172.18.0.3:5353 gone",
		"udp 198.51.100.9:1004 to 192.0.2.1:53 at 172.18.0.2:5354 gone",
		// right
		"udp 198.51.100.9:1005 to 192.0.2.1:53 at 172.18.0.2:5353",
		// passing through, with the destination translated or not
		"udp 172.18.0.2:1006 to 198.51.100.9:53", "udp 172.18.0.2:1007 to 198.51.100.9:53 --src-nat 192.0.2.1",
		"udp 172.18.0.2:1008 to 198.51.100.9:53 at 198.51.100.10:53",
		"udp 198.51.100.9:1009 to 172.18.0.2:53",
		// another port
		"udp 198.51.100.9:1010 to 192.0.2.1:54",
		// another protocol
		"tcp 198.51.100.9:1011 to 192.0.2.1:53", "sctp 198.51.100.9:1012 to 192.0.2.1:53")
}

func TestAddedForgetsOneHostAddress(t *testing.T) {
	forgets(t, added(parse(t, "udp 192.0.2.1:53 to 172.18.0.2:53"), parse(t, "udp 0.0.0.0:50-53 to 172.18.0.3:50"), parse(t, "udp [2001:db8::1]:53 to [fd00::2]:53")),
		"udp 198.51.100.9:1000 to 192.0.2.1:53 gone",
		"udp 198.51.100.9:1001 to 192.0.2.1:53 at 172.18.0.3:53 gone",
		"udp 198.51.100.9:1002 to 192.0.2.2:50 gone",
		"udp [2001:db8:9::1]:1003 to [2001:db8::1]:53 gone",
		"udp 198.51.100.9:1004 to 192.0.2.1:53 at 172.18.0.2:53",
		"udp 198.51.100.9:1005 to 192.0.2.2:53 at 172.18.0.3:53",
		"udp [2001:db8:9::1]:1006 to [2001:db8::2]:53",
		"udp 198.51.100.9:1007 to 192.0.2.2:54")
	forgets(t, added(parse(t, "tcp 0.0.0.0:80 to 172.18.0.2:80"), parse(t, "sctp 0.0.0.0:80 to 172.18.0.2:80")),
		"tcp 198.51.100.9:1000 to 192.0.2.1:80", "sctp 198.51.100.9:1001 to 192.0.2.1:80")
}

func TestReleasedForgetsAllOfAnAddress(t *testing.T) {
	entries := []string{
		"udp 198.51.100.9:1000 to 192.0.2.1:53 at 172.18.0.2:53 gone",
		"tcp 198.51.100.9:1001 to 172.18.0.2:80 gone",
		"tcp 172.18.0.2:1002 to 198.51.100.9:443 --src-nat 192.0.2.1 gone",
		"sctp 172.18.0.2:1003 to 192.0.2.1:80 gone",
		"tcp 172.18.0.3:1004 to 192.0.2.1:80 at 172.18.0.2:80 --src-nat 172.18.0.1 gone",
		// a neighbour's
		"udp 198.51.100.9:1005 to 192.0.2.1:53 at 172.18.0.3:53",
		"tcp 172.18.0.3:1006 to 198.51.100.9:443",
		// where the address was only asked for, or what answers go to
		"udp 198.51.100.9:1007 to 172.18.0.2:53 at 172.18.0.3:53",
		"udp 198.51.100.9:1008 to 192.0.2.1:53 --src-nat 172.18.0.2",
	}
	forgets(t, released("172.18.0.2"), entries...)
	forgets(t, released("172.18.0.2", "fd00::2", "10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", "10.0.0.7", "10.0.0.8", "10.0.0.9"),
		append(entries, "tcp [2001:db8:9::1]:1000 to [2001:db8::1]:80 at [fd00::2]:80 gone", "udp [fd00::2]:1 to [2001:db8:9::1]:53 gone", "udp [fd00::3]:1 to [2001:db8:9::1]:53")...)
}
