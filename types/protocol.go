package types

import (
	"net"
	"strconv"
	"strings"
)

// Protocol numbers of the IANA "Assigned Internet Protocol Numbers" registry.
const (
	// ICMP is the Internet Control Message Protocol (RFC 792).
	ICMP = 1
	// TCP is the Transmission Control Protocol (RFC 9293).
	TCP = 6
	// UDP is the User Datagram Protocol (RFC 768).
	UDP = 17
	// SCTP is the Stream Control Transmission Protocol (RFC 9260).
	SCTP = 132
)

// Protocol is an IP protocol by its IANA number. Zero stands for none.
type Protocol uint8

// String returns "icmp", "tcp", "udp" or "sctp", and the number of any other.
func (p Protocol) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	default:
		return strconv.Itoa(int(p))
	}
}

// ParseProtocol is the inverse of String and takes names in any case. It returns
// zero for what it does not know.
func ParseProtocol(s string) Protocol {
	p, err := parseProtocol(s)
	if err != nil {
		return 0
	}
	return p
}

func parseProtocol(s string) (Protocol, error) {
	switch strings.ToLower(s) {
	case "icmp":
		return ICMP, nil
	case "tcp":
		return TCP, nil
	case "udp":
		return UDP, nil
	case "sctp":
		return SCTP, nil
	}
	number, err := strconv.ParseUint(s, 10, 8)
	if err != nil {
		return 0, BadRequestErrorf("protocol %q: unknown; use tcp, udp, sctp, icmp or a number up to 255", s)
	}
	return Protocol(number), nil
}

// SCTPAddr is the address of an SCTP end point; package net has none.
type SCTPAddr struct {
	// IP nil means any address.
	IP   net.IP
	Port int
}

// Network returns "sctp".
func (a *SCTPAddr) Network() string { return "sctp" }

// String returns the form "192.0.2.1:80" or "[2001:db8::1]:80".
func (a *SCTPAddr) String() string {
	if a == nil {
		return "<nil>"
	}
	return joinHostPort(a.IP, strconv.Itoa(a.Port))
}

// joinHostPort writes an absent address as nothing, and IPv6 in brackets.
func joinHostPort(ip net.IP, port string) string {
	if len(ip) == 0 {
		return ":" + port
	}
	return net.JoinHostPort(ip.String(), port)
}
