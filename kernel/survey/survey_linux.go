package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/sysctl"
)

// Take looks at the machine. It returns an error only if the host's namespace cannot be
// opened; what else fails is in Report.Errors.
func Take(ctx context.Context, options Options) (*Report, error) {
	host, err := netns.Open(options.HostNamespace)
	if err != nil {
		return nil, cnm.Wrap("look at the machine", err)
	}
	defer host.Close() //nolint:errcheck // read only
	t := &taking{options: options, host: host, report: &Report{Sysctls: make(map[string]string), Programs: make(map[string]string)}}
	for _, source := range []struct {
		name string
		read func(context.Context) error
	}{
		{"kernel", t.release},
		{"namespace", t.space},
		{"abilities", t.abilities},
		{"sysctls", t.sysctls},
		{"packet filter", t.chains},
		{"iptables-legacy", t.legacy},
		{"bus", t.bus},
		{"connections", t.connections},
		{"sockets", t.sockets},
		{"programs", t.programs},
		{"folders", t.folders},
	} {
		err := ctx.Err()
		if err == nil {
			err = source.read(ctx)
		}
		if err != nil {
			t.report.Errors = append(t.report.Errors, cnm.Wrap("look at "+source.name, err))
		}
	}
	return t.report, nil
}

// taking is a report in the making.
type taking struct {
	options Options
	host    *netns.Namespace
	report  *Report
}

func (t *taking) release(context.Context) error {
	t.report.Release = kernel.Release()
	return nil
}

func (t *taking) space(ctx context.Context) (err error) {
	t.report.Host, err = look(ctx, t.host)
	return err
}

func (t *taking) sysctls(context.Context) error {
	dir := sysctl.New(t.host.Do)
	defer dir.Close() //nolint:errcheck // read only
	var errs []error
	for _, key := range t.options.Sysctls {
		value, err := dir.Read(key)
		switch {
		case err == nil:
			t.report.Sysctls[key] = value
		case !errors.Is(err, cnm.NotFound):
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// connections reads the use of the table of connections. A kernel that tracks none has no
// such settings.
func (t *taking) connections(context.Context) error {
	dir := sysctl.New(t.host.Do)
	defer dir.Close() //nolint:errcheck // read only
	for key, to := range map[string]*int{
		"net/netfilter/nf_conntrack_count": &t.report.Connections,
		"net/netfilter/nf_conntrack_max":   &t.report.MaxConnections,
	} {
		text, err := dir.Read(key)
		if errors.Is(err, cnm.NotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if *to, err = strconv.Atoi(strings.TrimSpace(text)); err != nil {
			return cnm.E("sysctl "+key, cnm.Internal, err)
		}
	}
	return nil
}

// programs looks where services may not look, too.
func (t *taking) programs(context.Context) error {
	for _, name := range []string{"nft", "iptables", "iptables-restore", "ip6tables-restore", "iptables-save", "ip6tables-save",
		"iptables-legacy-save", "ip6tables-legacy-save", "firewall-cmd", "ufw", "conntrack"} {
		for _, folder := range []string{"", "/usr/sbin", "/sbin"} {
			if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil {
				t.report.Programs[name] = path
				break
			}
		}
	}
	return nil
}

// fileSystems are those that matter here, by their magic number (include/uapi/linux/magic.h).
func fileSystems() map[int64]string {
	return map[int64]string{
		unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.TMPFS_MAGIC: "tmpfs",
		unix.RAMFS_MAGIC: "ramfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "nfs", unix.SQUASHFS_MAGIC: "squashfs",
		unix.F2FS_SUPER_MAGIC: "f2fs", unix.FUSE_SUPER_MAGIC: "fuse",
	}
}

func (t *taking) folders(context.Context) error {
	var errs []error
	for _, path := range t.options.Folders {
		var file unix.Stat_t
		var system unix.Statfs_t
		err := cmp.Or(unix.Stat(path, &file), unix.Statfs(path, &system))
		if errors.Is(err, unix.ENOENT) {
			continue
		}
		if err != nil {
			errs = append(errs, errno.Wrap(fmt.Sprintf("folder %q", path), err))
			continue
		}
		size := uint64(system.Bsize)
		t.report.Folders = append(t.report.Folders, Folder{
			Path: path, Kind: cmp.Or(fileSystems()[system.Type], fmt.Sprintf("%#x", system.Type)),
			Size: system.Blocks * size, Available: system.Bavail * size,
			Files: system.Files, FilesAvailable: system.Ffree,
			ReadOnly: system.Flags&unix.ST_RDONLY != 0, Mode: file.Mode & 0o7777, Owner: file.Uid,
		})
	}
	return errors.Join(errs...)
}

// Run runs a program in a namespace and returns what it prints. The context bounds its
// time. It is for programs that show what there is.
func Run(ctx context.Context, namespace, program string, arguments ...string) ([]byte, error) {
	n, err := netns.Open(namespace)
	if err != nil {
		return nil, err
	}
	defer n.Close() //nolint:errcheck // read only
	return run(ctx, n, program, arguments...)
}

func run(ctx context.Context, n *netns.Namespace, program string, arguments ...string) (out []byte, err error) {
	err = n.Do(func() error {
		// A process that is started here is in the namespace of this thread.
		command := exec.CommandContext(ctx, program, arguments...)
		command.Env = append(os.Environ(), "LC_ALL=C")
		out, err = command.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
			err = fmt.Errorf("%w: %s", err, first)
		}
		if ctx.Err() != nil {
			return cnm.E("", cnm.Timeout, fmt.Errorf("%s: %w", strings.Join(slices.Concat([]string{program}, arguments), " "), ctx.Err()))
		}
		return cnm.Wrap(strings.Join(slices.Concat([]string{program}, arguments), " "), err)
	})
	return out, err
}
