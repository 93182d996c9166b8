package libnetwork

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/etchosts"
	"github.com/docker/libnetwork/internal/atomicfile"
	"github.com/docker/libnetwork/resolvconf"
)

// The host's own files, which a sandbox's start from unless it names others.
const hostResolvConf = "/etc/resolv.conf"

// fileMode is that of both files: programs of any user in the container read them.
const fileMode fs.FileMode = 0o644

// writeFiles makes the sandbox's hosts file and resolv.conf.
func (sb *sandbox) writeFiles(ctx context.Context) error {
	rec := sb.record.Load()
	if (!rec.Own() || rec.Foreign) && rec.HostsPath == "" && rec.ResolvConfPath == "" {
		return nil
	}
	ipv6 := sb.hasIPv6(ctx)
	return errors.Join(sb.writeHosts(rec, ipv6), sb.writeResolvConf(rec, ipv6))
}

// updateFiles follows a change of the sandbox's endpoints, on which the hosts file and the
// name servers to ask depend. The change stands whether or not it can be written; the next one tries
// again.
func (sb *sandbox) updateFiles(ctx context.Context) {
	rec := sb.record.Load()
	if rec.HostsPath == "" && rec.ResolvConfPath == "" && sb.server.Load() == nil && len(rec.ParentUpdates) == 0 {
		return
	}
	ipv6 := sb.hasIPv6(ctx)
	err := sb.writeHosts(rec, ipv6)
	if sb.server.Load() != nil {
		err = errors.Join(err, sb.writeResolvConf(rec, ipv6))
	}
	if err != nil {
		sb.c.log.Error("update files", "container", sb.ContainerID(), "error", err)
	}
	for _, update := range sb.record.Load().ParentUpdates {
		if err := sb.updateParent(update); err != nil {
			sb.c.log.Error("update hosts file of another container", "container", update.ContainerID, "error", err)
		}
	}
}

// hasIPv6 reports whether IPv6 lines make sense in the files.
func (sb *sandbox) hasIPv6(ctx context.Context) bool {
	rec := sb.record.Load()
	if !rec.Ready {
		return false
	}
	has, err := sb.c.host.Container().HasIPv6(ctx, rec.Key)
	return err == nil && has
}

// hostsEntries are the container's own names with its addresses, what the caller
// added, and what other containers added.
func (sb *sandbox) hostsEntries(rec *cnm.Sandbox) []etchosts.Entry {
	var entries []etchosts.Entry
	if names := ownNames(rec); len(names) > 0 {
		for _, address := range sb.addresses() {
			entries = append(entries, etchosts.Entry{IP: address, Names: names})
		}
	}
	for _, extra := range rec.ExtraHosts {
		if extra.IP == hostGateway {
			for _, address := range sb.gatewayAddresses() {
				entries = append(entries, etchosts.Entry{IP: address, Names: []string{extra.Name}})
			}
			continue
		}
		if address, err := netip.ParseAddr(extra.IP); err == nil {
			entries = append(entries, etchosts.Entry{IP: address, Names: []string{extra.Name}})
		}
	}
	return append(entries, sb.c.parentEntries(rec.ContainerID)...)
}

// hostGateway, in place of an address, stands for the host, as the container reaches it.
const hostGateway = "host-gateway"

// gatewayAddresses are the host's in the networks that give the default routes.
func (sb *sandbox) gatewayAddresses() []netip.Addr {
	var out []netip.Addr
	members := sb.members()
	ranked := byGatewayRank(recordsOf(members), sb.c.networkName)
	for _, gateway := range []func(*cnm.Endpoint) netip.Addr{
		func(ep *cnm.Endpoint) netip.Addr { return ep.Gateway4 }, func(ep *cnm.Endpoint) netip.Addr { return ep.Gateway6 },
	} {
		i := slices.IndexFunc(ranked, func(ep *cnm.Endpoint) bool { return gateway(ep).IsValid() })
		if i < 0 {
			continue
		}
		member := slices.IndexFunc(members, func(ep *endpoint) bool { return ep.ID() == ranked[i].ID })
		if address := members[member].hostAddress(gateway(ranked[i])); address.IsValid() {
			out = append(out, address)
		}
	}
	return out
}

// ownNames are the full name and the short one.
func ownNames(rec *cnm.Sandbox) []string {
	switch {
	case rec.Hostname == "":
		return nil
	case rec.Domainname == "":
		return []string{rec.Hostname}
	default:
		return []string{rec.Hostname + "." + rec.Domainname, rec.Hostname}
	}
}

// addresses are those of the endpoints, in the order of Endpoints.
func (sb *sandbox) addresses() []netip.Addr {
	var out []netip.Addr
	for _, rec := range byGatewayRank(recordsOf(sb.members()), sb.c.networkName) {
		for _, prefix := range []netip.Prefix{rec.IPv4, rec.IPv6} {
			if prefix.IsValid() {
				out = append(out, prefix.Addr())
			}
		}
	}
	return out
}

// parentEntries are the lines that other sandboxes want in this container's file.
func (c *controller) parentEntries(containerID string) []etchosts.Entry {
	var entries []etchosts.Entry
	for _, child := range c.childSandboxes() {
		for _, update := range child.record.Load().ParentUpdates {
			if update.ContainerID != containerID {
				continue
			}
			addresses := child.addresses()
			if given, err := netip.ParseAddr(update.IP); err == nil {
				addresses = []netip.Addr{given}
			}
			for _, address := range addresses {
				entries = append(entries, etchosts.Entry{IP: address, Names: []string{update.Name}})
			}
		}
	}
	return entries
}

// childSandboxes returns those with lines for other containers; usually there are
// none.
func (c *controller) childSandboxes() []*sandbox {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*sandbox
	for _, sb := range c.sandboxes {
		if len(sb.record.Load().ParentUpdates) > 0 {
			out = append(out, sb)
		}
	}
	slices.SortFunc(out, func(a, b *sandbox) int { return strings.Compare(a.ID(), b.ID()) })
	return out
}

func (sb *sandbox) updateParent(update cnm.ParentUpdate) error {
	for _, parent := range sb.c.allSandboxes() {
		if rec := parent.record.Load(); rec.ContainerID == update.ContainerID && rec.HostsPath != "" {
			return parent.writeHosts(rec, parent.hasIPv6(context.Background()))
		}
	}
	return nil
}

func (sb *sandbox) writeHosts(rec *cnm.Sandbox, ipv6 bool) error {
	if rec.HostsPath == "" {
		return nil
	}
	current, err := readIfThere(rec.HostsPath)
	if err != nil {
		return err
	}
	entries := sb.hostsEntries(rec)
	if len(current) > 0 {
		content, err := etchosts.Update(current, entries)
		if err != nil {
			return err
		}
		return writeIfChanged(rec.HostsPath, current, content)
	}
	var origin []byte
	if rec.OriginHostsPath != "" {
		if origin, err = readOrigin(rec.OriginHostsPath); err != nil {
			return err
		}
	}
	content, err := etchosts.Build(origin, entries, ipv6)
	if err != nil {
		return err
	}
	return writeIfChanged(rec.HostsPath, current, content)
}

// writeResolvConf names the embedded DNS server, if there is one, and tells that whom to
// ask. A file that the user has changed is left alone.
func (sb *sandbox) writeResolvConf(rec *cnm.Sandbox, ipv6 bool) error {
	if rec.ResolvConfPath == "" && sb.server.Load() == nil {
		return nil
	}
	current, err := readIfThere(rec.ResolvConfPath)
	if err != nil {
		return err
	}
	source, read := hostResolvConf, readIfThere
	if rec.OriginResolvConfPath != "" {
		source, read = rec.OriginResolvConfPath, readOrigin
	}
	origin, err := read(source)
	if err != nil {
		return err
	}
	file, given := resolvconf.Parse(origin), sb.givenNameServers(rec)
	if err := file.Override(given, rec.DNSSearch, rec.DNSOptions); err != nil {
		return err
	}
	if !rec.Host && len(given) == 0 {
		if sb.server.Load() == nil {
			file.DropLoopback()
		}
		if !ipv6 {
			file.DropIPv6()
		}
	}
	if sb.server.Load() != nil {
		sb.setNameServers(file.Internal(resolverAddress(), resolverNdots))
	}
	if rec.ResolvConfPath == "" || len(current) > 0 && resolvconf.Modified(current) {
		return nil
	}
	return writeIfChanged(rec.ResolvConfPath, current, file.Render(source))
}

// resolverNdots is how many dots a name has at least that is tried as it is first, where
// nobody says otherwise (resolv.conf(5)): names of containers have none.
const resolverNdots = 0

// givenNameServers are those of the sandbox, or else of its endpoints, or else of their
// networks.
func (sb *sandbox) givenNameServers(rec *cnm.Sandbox) []netip.Addr {
	given, members := rec.DNS, sb.members()
	ranked := byGatewayRank(recordsOf(members), sb.c.networkName)
	if len(given) == 0 {
		for _, ep := range ranked {
			given = append(given, ep.DNS...)
		}
	}
	if len(given) == 0 {
		for _, ep := range ranked {
			i := slices.IndexFunc(members, func(member *endpoint) bool { return member.ID() == ep.ID })
			given = append(given, members[i].n.record.Load().DNS...)
		}
	}
	var servers []netip.Addr
	for _, text := range given {
		if server, err := netip.ParseAddr(text); err == nil && !slices.Contains(servers, server) {
			servers = append(servers, server)
		}
	}
	return servers
}

// readIfThere gives nil for a file that is not there, or for no path.
func readIfThere(path string) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	content, err := readRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fileError("read file", err)
	}
	return content, nil
}

// readOrigin reads a file that the caller named, which must be there.
func readOrigin(path string) ([]byte, error) {
	content, err := readRegular(path)
	if err != nil {
		return nil, fileError("read the file to start from", err)
	}
	return content, nil
}

// largestFile is how large a hosts file or a resolv.conf may be, in bytes: lists of hosts
// that somebody wants to block have some megabytes.
const largestFile = 16 << 20

// readRegular looks before it reads: opening a pipe waits for a writer, and a device may
// have no end.
func readRegular(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, invalid("%q is not a regular file: name another path", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // read only
	content, err := io.ReadAll(io.LimitReader(file, largestFile+1))
	if err == nil && len(content) > largestFile {
		return nil, invalid("%q is larger than %d bytes: name another path", path, largestFile)
	}
	return content, err
}

func fileError(op string, err error) error {
	kind := cnm.KindOf(err)
	switch {
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.EINVAL):
		kind = cnm.Invalid
	case errors.Is(err, fs.ErrNotExist):
		kind = cnm.NotFound
	case errors.Is(err, fs.ErrPermission):
		kind = cnm.Forbidden
	}
	return cnm.E(op, kind, err)
}

func writeIfChanged(path string, old, content []byte) error {
	if old != nil && slices.Equal(old, content) {
		return nil
	}
	return atomicfile.Write(path, content, fileMode)
}

// removeFiles removes the files that are in a place of ours. Others are the
// caller's.
func (sb *sandbox) removeFiles() {
	if err := os.RemoveAll(filepath.Join(sb.c.paths.files, sb.ID())); err != nil {
		sb.c.log.Error("remove files", "container", sb.ContainerID(), "error", err)
	}
}
