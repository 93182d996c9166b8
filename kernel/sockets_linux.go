package kernel

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/netstate"
)

// socketEntry is a socket that may be in the way of a port: one that listens, or any of a
// protocol without connections.
type socketEntry struct {
	local netip.AddrPort
	inode string
}

// stateListen is TCP_LISTEN in the kernel's tables (include/net/tcp_states.h).
const stateListen = "0A"

// socketTable reads the tables of the calling thread's namespace. A protocol that the
// kernel does not list has none.
func socketTable(protocol netstate.Protocol) ([]socketEntry, error) {
	var all []socketEntry
	for _, suffix := range []string{"", "6"} {
		file, err := os.Open("/proc/thread-self/net/" + protocol.String() + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if entry, ok := parseSocket(lines.Text(), protocol == netstate.TCP); ok {
				all = append(all, entry)
			}
		}
		if err := errors.Join(lines.Err(), file.Close()); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// parseSocket reads a line of /proc/net/tcp and its like (proc_net_tcp in the kernel's
// documentation): the second field is the local address, the fourth the state, the tenth
// the inode.
func parseSocket(line string, listening bool) (socketEntry, bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || listening && fields[3] != stateListen {
		return socketEntry{}, false
	}
	address, port, ok := strings.Cut(fields[1], ":")
	raw, err := hex.DecodeString(address)
	number, portErr := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil || portErr != nil || len(raw)%4 != 0 {
		return socketEntry{}, false
	}
	// Each group of 4 bytes is a number in the machine's order, and must be in the
	// network's.
	if littleEndian() {
		for i := 0; i+4 <= len(raw); i += 4 {
			raw[i], raw[i+1], raw[i+2], raw[i+3] = raw[i+3], raw[i+2], raw[i+1], raw[i]
		}
	}
	ip, ok := netip.AddrFromSlice(raw)
	return socketEntry{netip.AddrPortFrom(ip.Unmap(), uint16(number)), fields[9]}, ok
}

// holder says who has a port, as well as can be found: the process, or that there is one.
func (p ports) holder(protocol netstate.Protocol, wanted netip.AddrPort) string {
	inode := ""
	err := p.inHost(func() error {
		sockets, err := socketTable(protocol)
		for _, s := range sockets {
			clash := s.local.Addr() == wanted.Addr() || s.local.Addr().IsUnspecified() || wanted.Addr().IsUnspecified()
			if clash && s.local.Port() == wanted.Port() {
				inode = s.inode
			}
		}
		return err
	})
	if err != nil || inode == "" || inode == "0" {
		return "another process"
	}
	target := "socket:[" + inode + "]"
	descriptors, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return "another process"
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
	return "another process"
}

func littleEndian() bool {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], 1)
	return b[0] == 1
}
