package kernel

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/netns"
)

// namespaces implements Namespaces.
type namespaces struct{ h *host }

func (n namespaces) Create(ctx context.Context, path string) error {
	op := fmt.Sprintf("create namespace %q", path)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	s := &space{name: path}
	err := netns.Create(path, func() error {
		namespace, err := netns.Open(path)
		if err != nil {
			return err
		}
		if err := s.furnish(namespace); err != nil {
			return errors.Join(err, namespace.Close())
		}
		return nil
	})
	if err != nil {
		return cnm.Wrap(op, err)
	}
	s, err = n.h.keep(s)
	if err != nil {
		return cnm.Wrap(op, errors.Join(err, netns.Delete(path)))
	}
	s.release()
	return nil
}

func (n namespaces) Bind(ctx context.Context, path, source string) error {
	op := fmt.Sprintf("bind namespace %q at %q", source, path)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	// The links of a container would be among the host's, and its default route too.
	if there, err := os.Stat(source); err == nil {
		if own, err := os.Stat(n.HostPath()); err == nil && os.SameFile(there, own) {
			return cnm.E(op, cnm.Invalid, errors.New("it is the host's own namespace; the container needs one of its own"))
		}
	}
	return cnm.Wrap(op, netns.Bind(path, source))
}

func (n namespaces) Delete(ctx context.Context, path string) error {
	op := fmt.Sprintf("delete namespace %q", path)
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	if err := netns.Delete(path); err != nil {
		return cnm.Wrap(op, err)
	}
	n.h.forget(path)
	return nil
}

// Forget lets go of what is open of a namespace that stays.
func (n namespaces) Forget(path string) { n.h.forget(path) }

func (n namespaces) List(_ context.Context, folder, prefix string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, errno.Wrap("list namespaces", err)
	}
	var paths []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), prefix) {
			paths = append(paths, filepath.Join(folder, entry.Name()))
		}
	}
	slices.Sort(paths)
	return paths, nil
}

func (n namespaces) Alive(_ context.Context, path string) (bool, error) { return netns.Alive(path) }

func (n namespaces) Identity(_ context.Context, path string) (string, error) {
	return netns.Identity(path)
}

func (n namespaces) HostPath() string {
	if n.h.path != "" {
		return n.h.path
	}
	return netns.ProcessPath()
}
