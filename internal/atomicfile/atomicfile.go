// Package atomicfile writes small files so that a reader never sees a mixture.
package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/docker/libnetwork/cnm"
)

// Write makes the file hold the content. A new file appears with a rename, in a
// folder that is made if missing. One that exists keeps its inode, since such files
// are mounted into containers by it: the content goes in with one write, which
// readers of a short file see whole, and then the rest of the old is cut off.
func Write(path string, content []byte, mode fs.FileMode) error {
	err := writeInPlace(path, content)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeNew(path, content, mode)
	}
	if err == nil {
		return nil
	}
	kind := cnm.Internal
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = cnm.Forbidden
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = cnm.Exhausted
	case errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR):
		kind = cnm.Invalid
	}
	return cnm.E(fmt.Sprintf("write file %q", path), kind, err)
}

func writeInPlace(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(content, 0); err == nil {
		err = file.Truncate(int64(len(content)))
	}
	return errors.Join(err, file.Close())
}

func writeNew(path string, content []byte, mode fs.FileMode) (err error) {
	folder := filepath.Dir(path)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	file, err := os.CreateTemp(folder, "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, writeErr := file.Write(content)
	if err := errors.Join(writeErr, file.Chmod(mode), file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
