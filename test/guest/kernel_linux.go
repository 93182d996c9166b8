package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// guestKernel is a kernel that was unpacked, and never installed.
type guestKernel struct {
	folder, release string
}

// kernels are the packages that are tried, the best first. The second is in every Debian 12.
func kernels() []string { return []string{"linux-image-6.12-amd64", "linux-image-amd64"} }

// complete is the file in a kernel's folder that says that all of it is there; it holds the
// release.
const complete = "complete"

// getKernel returns one from the cache, or downloads it. Two at once wait for each other.
func getKernel(ctx context.Context) (*guestKernel, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	folder := filepath.Join(base, "libnetwork-guest")
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Create(filepath.Join(folder, "lock"))
	if err != nil {
		return nil, err
	}
	defer lock.Close() //nolint:errcheck // which gives it back
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("wait for another download: %w", err)
	}
	k := &guestKernel{folder: filepath.Join(folder, "kernel")}
	if release, err := os.ReadFile(filepath.Join(k.folder, complete)); err == nil {
		k.release = strings.TrimSpace(string(release))
		return k, nil
	}
	if err := os.RemoveAll(k.folder); err != nil {
		return nil, err
	}
	if err := k.download(ctx, folder); err != nil {
		return nil, fmt.Errorf("download a kernel for the guest: %w", err)
	}
	return k, os.WriteFile(filepath.Join(k.folder, complete), []byte(k.release+"\n"), 0o644)
}

// image is the name of a kernel's package, which a package without a version depends on.
func image(ctx context.Context) (string, error) {
	var errs []error
	for _, name := range kernels() {
		out, err := exec.CommandContext(ctx, "apt-cache", "depends", name).CombinedOutput()
		if found := regexp.MustCompile(`Depends: (linux-image-\S+)`).FindSubmatch(out); err == nil && found != nil {
			return string(found[1]), nil
		}
		errs = append(errs, fmt.Errorf("%s: %w: %s", name, err, out))
	}
	return "", errors.Join(errs...)
}

func (k *guestKernel) download(ctx context.Context, folder string) error {
	name, err := image(ctx)
	if err != nil {
		// The lists of packages may never have been fetched.
		if err := run(ctx, folder, "apt-get", "-qq", "update"); err != nil {
			return err
		}
		if name, err = image(ctx); err != nil {
			return err
		}
	}
	fmt.Println("downloading", name, "(once; it is not installed)")
	work, err := os.MkdirTemp(folder, "download")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a temporary folder
	if err := run(ctx, work, "apt-get", "-o", "APT::Sandbox::User=root", "-qq", "download", name); err != nil {
		return err
	}
	packages, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil || len(packages) != 1 {
		return fmt.Errorf("apt-get left %q: %w", packages, err)
	}
	if err := run(ctx, work, "dpkg-deb", "-x", packages[0], "."); err != nil {
		return err
	}
	modules, err := filepath.Glob(filepath.Join(work, "lib/modules/*"))
	if err == nil && len(modules) == 0 {
		modules, err = filepath.Glob(filepath.Join(work, "usr/lib/modules/*"))
	}
	images, imageErr := filepath.Glob(filepath.Join(work, "boot/vmlinuz-*"))
	if err = errors.Join(err, imageErr); err != nil || len(modules) != 1 || len(images) != 1 {
		return fmt.Errorf("%s holds kernels %q and modules %q: %w", name, images, modules, err)
	}
	k.release = filepath.Base(modules[0])
	// What networks have nothing to do with is most of it.
	for _, part := range []string{"sound", "drivers/gpu", "drivers/media", "drivers/staging", "drivers/infiniband", "drivers/net/ethernet", "drivers/net/wireless", "drivers/scsi", "drivers/usb", "drivers/iio", "drivers/hwmon"} {
		if err := os.RemoveAll(filepath.Join(modules[0], "kernel", part)); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(k.folder, "lib/modules"), 0o755); err != nil {
		return err
	}
	if err := os.Rename(images[0], filepath.Join(k.folder, "vmlinuz")); err != nil {
		return err
	}
	if err := os.Rename(modules[0], k.tree()); err != nil {
		return err
	}
	return run(ctx, work, "/sbin/depmod", "-b", k.folder, k.release)
}

// tree is the folder of all modules.
func (k *guestKernel) tree() string { return filepath.Join(k.folder, "lib/modules", k.release) }

// moduleFiles are those to load for modules with these names, each after those it needs.
func (k *guestKernel) moduleFiles(ctx context.Context, names ...string) ([]string, error) {
	var files []string
	seen := make(map[string]bool)
	for _, name := range names {
		out, err := exec.CommandContext(ctx, "/sbin/modprobe", "-d", k.folder, "-S", k.release, "--show-depends", name).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("module %s: %w: %s", name, err, out)
		}
		for line := range strings.Lines(string(out)) {
			// A module that is built in says "builtin".
			if words := strings.Fields(line); len(words) > 1 && words[0] == "insmod" && !seen[words[1]] {
				seen[words[1]] = true
				files = append(files, words[1])
			}
		}
	}
	return files, nil
}

func run(ctx context.Context, folder, program string, arguments ...string) error {
	cmd := exec.CommandContext(ctx, program, arguments...)
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", program, err, out)
	}
	return nil
}
