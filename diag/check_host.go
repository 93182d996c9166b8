package diag

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netstate"
)

func (x *examination) checkNeighbors() []complaint {
	endpoints := 0
	for _, members := range x.members {
		endpoints += len(members)
	}
	var out []complaint
	for _, family := range []struct{ name, key string }{{"IPv4", keyThresh4}, {"IPv6", keyThresh6}} {
		most, err := strconv.Atoi(x.machine.Sysctls[family.key])
		// The host and the containers share it, whatever namespaces they are in: each
		// container is an entry of the host's, and the host one of each container's.
		if err != nil || 2*endpoints < most*8/10 {
			continue
		}
		key := strings.ReplaceAll(family.key, "/", ".")
		out = append(out, warn(fmt.Sprintf("sysctl -w %s=%d", key, 4*max(most, endpoints)),
			"%d endpoints may need %d entries of the neighbour table for %s, which has room for %d on the whole machine (gc_thresh3)", endpoints, 2*endpoints, family.name, most))
	}
	return out
}

func (x *examination) checkConnections() []complaint {
	used, most := x.machine.Connections, x.machine.MaxConnections
	if most == 0 || used < most*8/10 {
		return nil
	}
	level := warn
	if used >= most*95/100 {
		level = wrong
	}
	return []complaint{level(fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*most),
		"%d connections are tracked, of %d that can be; new ones are refused then", used, most)}
}

// dnsPort is that of the domain name system (RFC 1035 section 4.2).
const dnsPort = 53

func (x *examination) checkResolvConf() []complaint {
	var servers []netip.Addr
	for line := range strings.Lines(x.resolvConf) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if address, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, address.Unmap())
		}
	}
	if len(servers) == 0 {
		return []complaint{warn("name one in /etc/resolv.conf, or for each network with --dns", "the host names no name server: containers can resolve the names of containers only")}
	}
	silent := func(server netip.Addr) bool {
		return server.IsLoopback() && !slices.ContainsFunc(x.machine.Sockets, func(s survey.Port) bool {
			address := s.Address.Addr()
			same := address == server || address.IsUnspecified() && address.Is4() == server.Is4()
			return same && s.Protocol == netstate.UDP && s.Address.Port() == dnsPort
		})
	}
	if !slices.ContainsFunc(servers, func(server netip.Addr) bool { return !silent(server) }) {
		return []complaint{wrong("start the name server of the host, or name another one in /etc/resolv.conf",
			"all name servers of the host are on its own loopback (%s), and none of them runs", servers[0])}
	}
	return nil
}

// Limits of room, in bytes and files: a record takes a few KiB, and the store is written
// anew page by page.
const (
	littleRoom = 64 << 20
	noRoom     = 4 << 20
	littleFile = 256
)

func (x *examination) checkDisk() []complaint {
	var out []complaint
	for _, f := range x.machine.Folders {
		switch {
		case f.ReadOnly:
			out = append(out, wrong("mount -o remount,rw, for its file system", "folder %q is on a file system that is mounted read-only", f.Path))
		case f.Available < noRoom:
			out = append(out, wrong("make room there", "folder %q has %d KiB left: records cannot be written soon", f.Path, f.Available>>10))
		case f.Available < littleRoom:
			out = append(out, warn("make room there", "folder %q has %d MiB left", f.Path, f.Available>>20))
		}
		if f.Files > 0 && f.FilesAvailable < littleFile {
			out = append(out, warn("delete files there", "the file system of folder %q can take only %d more files", f.Path, f.FilesAvailable))
		}
	}
	return out
}

// writableByOthers are the permission bits of the group and of everybody to write.
const writableByOthers = 0o022

func (x *examination) checkDataDir() []complaint {
	i := slices.IndexFunc(x.machine.Folders, func(f survey.Folder) bool { return f.Path == x.dataDir })
	if i < 0 {
		return nil
	}
	f := x.machine.Folders[i]
	var out []complaint
	if f.Kind == "tmpfs" || f.Kind == "ramfs" {
		out = append(out, warn("choose a data folder on a disk", "the records are in memory (%s is on %s): networks are gone after a reboot", f.Path, f.Kind))
	}
	if f.Mode&writableByOthers != 0 {
		out = append(out, wrong("chmod 0700 "+f.Path, "folder %q can be written to by others than its owner (mode %#o): they could change what the daemon does as root", f.Path, f.Mode))
	}
	return out
}
