package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/docker/libnetwork/test/guest/job"
)

// wanted are the modules that the guest's kernel does not load when they are needed: what
// the tests ask for by sockets and ciphers, whose aliases it does not know.
func wanted() []string {
	return []string{
		"nfnetlink", "nf_conntrack_netlink", "veth", "bridge", "br_netfilter", "dummy", "ipvlan", "macvlan", "8021q", "ifb",
		"sch_tbf", "sch_netem", "sch_ingress", "cls_u32", "act_mirred", "nf_tables", "nft_chain_nat", "xfrm_user",
	}
}

// boot runs the programs in a guest, one after the other, and tells what happens. A guest
// that ends before it has done all is an error, with what its console said last.
func boot(ctx context.Context, programs []job.Program, tell func(job.Event)) error {
	kernel, err := getKernel(ctx)
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "boot")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder) //nolint:errcheck // a temporary folder
	initrd, err := kernel.initrd(ctx, folder, programs)
	if err != nil {
		return err
	}
	events, console := filepath.Join(folder, "events"), filepath.Join(folder, "console")
	if err := syscall.Mkfifo(events, 0o600); err != nil {
		return err
	}
	// Both ends, so that opening does not wait for an emulator that may never come.
	pipe, err := os.OpenFile(events, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", arguments(kernel, initrd, console, events)...)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start the emulator (Debian's qemu-system-x86): %w", err), pipe.Close())
	}
	read := make(chan error, 1)
	var last job.Event
	go func() { read <- job.ReadEvents(pipe, func(e job.Event) { last = e; tell(e) }) }()
	err = cmd.Wait()
	// What is in the pipe is read before it ends; nobody writes any more.
	_ = pipe.SetReadDeadline(time.Now().Add(time.Second))
	if readErr := <-read; readErr != nil && !errors.Is(readErr, os.ErrDeadlineExceeded) {
		err = errors.Join(err, readErr)
	}
	_ = pipe.Close()
	switch {
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case last.Kind == job.Broken:
		err = fmt.Errorf("the guest cannot do its job: %s", last.Output)
	case last.Kind == job.Done && err == nil:
		return nil
	}
	if err == nil {
		err = errors.New("its kernel died, or its first process")
	}
	return fmt.Errorf("the guest ended before it had done all: %w; %s; its console:\n%s", err, complaints.String(), tail(console))
}

// arguments are those of the emulator. With several threads it is not safe to patch code
// while it runs, as kernels do.
func arguments(k *guestKernel, initrd, console, events string) []string {
	return []string{
		"-M", "q35", "-accel", "tcg,thread=single,tb-size=512", "-cpu", "max", "-smp", "1", "-m", "1024",
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-kernel", filepath.Join(k.folder, "vmlinuz"), "-initrd", initrd,
		"-append", "console=ttyS0 quiet panic=-1 oops=panic nokaslr mitigations=off tsc=reliable no_timer_check audit=0 random.trust_cpu=on",
		"-serial", "file:" + console, "-device", "virtio-serial-pci",
		"-chardev", "file,id=events,path=" + events, "-device", "virtserialport,chardev=events,name=" + job.Port,
		"-fsdev", "local,id=root,path=/,security_model=none,readonly=on,multidevs=remap",
		"-device", "virtio-9p-pci,fsdev=root,mount_tag=" + job.Root,
	}
}

// tail returns the last lines of a file.
func tail(path string) string {
	const most = 3000
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}

// initrd makes what the guest starts from: its first process, its job, and the modules that
// it takes to find the host's root.
func (k *guestKernel) initrd(ctx context.Context, folder string, programs []job.Program) (string, error) {
	first := filepath.Join(folder, "init")
	build := exec.CommandContext(ctx, "go", "build", "-o", first, "github.com/docker/libnetwork/test/guest/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the guest's first process: %w: %s", err, out)
	}
	files, err := k.moduleFiles(ctx, "virtio_pci", "virtio_console", "9p", "9pnet_virtio", "overlay")
	if err != nil {
		return "", err
	}
	j := job.Job{ModuleTree: k.tree(), Modules: wanted(), Now: time.Now(), Programs: programs}
	archive := new(cpio)
	for _, name := range []string{"proc", "sys", "dev", "modules", "lower", "upper", "both"} {
		archive.folder(name)
	}
	for i, file := range files {
		content, err := module(ctx, file)
		if err != nil {
			return "", err
		}
		name := fmt.Sprintf("modules/%02d.ko", i)
		archive.file(name, 0o644, content)
		j.Insert = append(j.Insert, "/"+name)
	}
	text, err := json.Marshal(j)
	if err != nil {
		return "", err
	}
	archive.file(strings.TrimPrefix(job.File, "/"), 0o644, text)
	program, err := os.ReadFile(first)
	if err != nil {
		return "", err
	}
	archive.file("init", 0o755, program)
	path := filepath.Join(folder, "initrd")
	return path, os.WriteFile(path, archive.end(), 0o600)
}

// module returns a module's content, unpacked.
func module(ctx context.Context, path string) ([]byte, error) {
	if !strings.HasSuffix(path, ".xz") {
		return os.ReadFile(path)
	}
	out, err := exec.CommandContext(ctx, "xz", "--decompress", "--stdout", path).Output()
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", path, err)
	}
	return out, nil
}

// cpio is an archive in the form that kernels read, "newc"
// (Documentation/driver-api/early-userspace/buffer-format.rst).
type cpio struct {
	out   bytes.Buffer
	inode int
}

func (c *cpio) folder(name string) { c.entry(name, 0o040755, nil) }

func (c *cpio) file(name string, mode int, content []byte) { c.entry(name, 0o100000|mode, content) }

func (c *cpio) entry(name string, mode int, content []byte) {
	c.inode++
	fmt.Fprintf(&c.out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		c.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name)+1, 0)
	c.out.WriteString(name + "\x00")
	c.pad()
	c.out.Write(content)
	c.pad()
}

func (c *cpio) pad() {
	for c.out.Len()%4 != 0 {
		c.out.WriteByte(0)
	}
}

func (c *cpio) end() []byte {
	c.entry("TRAILER!!!", 0, nil)
	return c.out.Bytes()
}
