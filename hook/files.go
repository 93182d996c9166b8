package hook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/docker/libnetwork/cnm"
)

// largestFile is how large a resolv.conf or a hosts file may be that is copied, in bytes.
const largestFile = 1 << 20

// copyFiles copies the sandbox's files into the container's root, if that was asked for.
func (a *attachment) copyFiles(ctx context.Context, id string) error {
	if a.wish.files != filesRootfs {
		return nil
	}
	sb, err := a.daemon.Sandbox(ctx, id)
	if err != nil {
		return err
	}
	rootfs, err := a.bundle.rootfs()
	if err != nil {
		return err
	}
	// What is in there may be anybody's: links in it lead nowhere else.
	root, err := os.OpenRoot(rootfs)
	if err != nil {
		return cnm.E("container's root", cnm.Invalid, err)
	}
	defer root.Close() //nolint:errcheck // a folder
	if err := root.Mkdir("etc", 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return cnm.E("container's root", cnm.Invalid, err)
	}
	for name, path := range map[string]string{"etc/resolv.conf": sb.ResolvConfPath, "etc/hosts": sb.HostsPath} {
		if err := copyFile(root, name, path); err != nil {
			return cnm.E(fmt.Sprintf("copy %q to %q of the container", path, name), cnm.KindOf(err), err)
		}
	}
	return nil
}

// copyFile replaces the file, or the link, that is there.
func copyFile(root *os.Root, name, path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close() //nolint:errcheck // read only
	text, err := io.ReadAll(io.LimitReader(from, largestFile+1))
	if err == nil && len(text) > largestFile {
		err = invalid("is larger than %d bytes", largestFile)
	}
	if err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	to, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	if err := to.Chmod(0o644); err != nil { // whatever the umask is
		return errors.Join(err, to.Close())
	}
	_, err = to.Write(text)
	return errors.Join(err, to.Close())
}
