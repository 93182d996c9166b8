package hook

import (
	"context"
	"crypto/rand"
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
	if err := checkRoot(root); err != nil {
		return err
	}
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

// checkRoot refuses the host's own root, which a container can have as its own: the host
// would ask a name server that it does not have.
func checkRoot(root *os.Root) error {
	theirs, err := root.Stat(".")
	if err != nil {
		return cnm.E("container's root", cnm.Invalid, err)
	}
	ours, err := os.Stat("/")
	if err == nil && os.SameFile(theirs, ours) {
		return invalid("container's root %q: is the host's own, whose files would be replaced; choose %sfiles: %s", root.Name(), prefix, filesBundle)
	}
	return err
}

// copyFile replaces the file, or the link, that is there. Until all is written that one
// stays: the disk may be full.
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
	unfinished := name + "." + rand.Text()
	if err := writeFile(root, unfinished, text); err != nil {
		return errors.Join(err, removeFile(root, unfinished))
	}
	if err := root.Rename(unfinished, name); err != nil {
		return errors.Join(err, removeFile(root, unfinished))
	}
	return nil
}

func removeFile(root *os.Root, name string) error {
	if err := root.Remove(name); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func writeFile(root *os.Root, name string, text []byte) error {
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
