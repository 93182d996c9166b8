package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/netstate"
)

// boundSocket is a socket that may be in the way of a port: one that listens, or any of a
// protocol without connections.
type boundSocket struct {
	local netip.AddrPort
	inode uint32
}

// Of sock_diag(7) and include/uapi/linux/inet_diag.h.
const (
	diagRequestSize  = 56     // struct inet_diag_req_v2
	diagMessageSize  = 72     // struct inet_diag_msg
	diagBytecode     = 1      // INET_DIAG_REQ_BYTECODE
	diagIPv6Only     = 11     // INET_DIAG_SKV6ONLY
	diagPortAtLeast  = 2      // INET_DIAG_BC_S_GE
	diagPortAtMost   = 3      // INET_DIAG_BC_S_LE
	stateListen      = 10     // TCP_LISTEN (include/net/tcp_states.h)
	anyState         = 0xffff // more than there are
	diagStates       = 4      // where the states are in a request
	diagPort         = 4      // where the port is in a message, in the network's order
	diagAddress      = 8      // where the address is
	diagInode        = 68     // where the inode is
	lengthOfBytecode = 16
)

// socketsAt asks for the sockets in the calling thread's namespace that have one of the
// ports. The kernel chooses: there may be many others. Of a protocol that it has no
// sockets for there are none.
func socketsAt(protocol netstate.Protocol, ports netstate.PortRange) ([]boundSocket, error) {
	var all []boundSocket
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		request := nl.NewNetlinkRequest(unix.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP)
		body := make([]byte, diagRequestSize)
		body[0], body[1] = family, uint8(protocol)
		states := uint32(anyState)
		if protocol == netstate.TCP {
			states = 1 << stateListen
		}
		binary.NativeEndian.PutUint32(body[diagStates:], states)
		request.AddRawData(body)
		request.AddRawData(nl.NewRtAttr(diagBytecode, portFilter(ports)).Serialize())
		messages, err := request.Execute(unix.NETLINK_SOCK_DIAG, 0)
		if errors.Is(err, unix.ENOENT) && protocol == netstate.SCTP {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list sockets of %s, which needs CONFIG_INET_DIAG and CONFIG_INET_UDP_DIAG: %w", protocol, err)
		}
		for _, m := range messages {
			all = append(all, parseSocket(m)...)
		}
	}
	return all, nil
}

// portFilter is a program of two instructions, each with the port in a second one. To jump
// 4 bytes behind the end is to refuse.
func portFilter(ports netstate.PortRange) []byte {
	out := make([]byte, 0, lengthOfBytecode)
	for i, op := range []struct {
		code uint8
		port uint16
	}{{diagPortAtLeast, ports.First}, {diagPortAtMost, ports.Last}} {
		out = append(out, op.code, 8)
		out = binary.NativeEndian.AppendUint16(out, uint16(lengthOfBytecode-8*i+4))
		out = append(out, 0, 0)
		out = binary.NativeEndian.AppendUint16(out, op.port)
	}
	return out
}

// parseSocket returns the socket of a message; one of both families is two.
func parseSocket(message []byte) []boundSocket {
	if len(message) < diagMessageSize {
		return nil
	}
	size := 4
	if message[0] == unix.AF_INET6 {
		size = 16
	}
	address, _ := netip.AddrFromSlice(message[diagAddress : diagAddress+size])
	port, inode := binary.BigEndian.Uint16(message[diagPort:]), binary.NativeEndian.Uint32(message[diagInode:])
	out := []boundSocket{{netip.AddrPortFrom(address.Unmap(), port), inode}}
	if address != netip.IPv6Unspecified() {
		return out
	}
	attributes, err := nl.ParseRouteAttr(message[diagMessageSize:])
	for _, a := range attributes {
		if err == nil && a.Attr.Type == diagIPv6Only && len(a.Value) > 0 && a.Value[0] == 0 {
			out = append(out, boundSocket{netip.AddrPortFrom(netip.IPv4Unspecified(), port), inode})
		}
	}
	return out
}

// holder says who has a socket, as well as can be found: the process, or that there is one.
func holder(inode uint32) string {
	const unknown = "another process"
	target := "socket:[" + strconv.FormatUint(uint64(inode), 10) + "]"
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil || inode == 0 {
		return unknown
	}
	for _, descriptor := range descriptors {
		if link, err := os.Readlink(descriptor); err != nil || link != target {
			continue
		}
		pid := strings.Split(descriptor, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("process %q (pid %s)", strings.TrimSpace(string(name)), pid)
	}
	return unknown
}
