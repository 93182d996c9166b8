// Package atomicfile writes the small text files that containers read.
//
// The usual recipe, a temporary file and a rename, is right only for a file that
// nobody has yet. The hosts file and the resolv.conf of a container are bind-mounted
// into it, and a mount holds an inode, not a name: after a rename the container
// would read the old file for the rest of its life. So there are two ways:
//
//   - A file that does not exist is made under another name and renamed. Readers
//     find no file or the whole file.
//   - A file that exists is rewritten in place and keeps its inode, mode, owner
//     and security label. The content is complete in memory before one write
//     starts; blank lines cover what is left of a longer old content, and are
//     then cut off. So the file is never empty on the way, and a crash between
//     the two steps leaves the new content with blank lines behind it. A reader
//     that comes during the write may meet the beginning of the new content and
//     the end of the old, as the kernel promises no more.
//
// Nothing is synced to the disk. These files are made again from records after a
// restart, and a sync would cost more than the rest of attaching a container.
package atomicfile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/docker/libnetwork/cnm"
)

// errNotRegular is the cause for folders, pipes and devices. Opening a pipe would
// wait for a reader.
var errNotRegular = errors.New("is not a regular file: name another path")

// Write makes the file hold the content, which is text in lines where blank lines
// mean nothing. The mode, not narrowed by the umask, is that of a new file; one that
// exists keeps its own. A missing folder is made with mode 0755.
//
// The error is Forbidden for lack of rights or a read-only file system, Exhausted for
// lack of room, Invalid if the path cannot be a file's, and otherwise Internal.
func Write(path string, content []byte, mode fs.FileMode) error {
	err := writeInPlace(path, content)
	if errors.Is(err, fs.ErrNotExist) {
		err = writeNew(path, content, mode)
	}
	if err != nil {
		return cnm.E(fmt.Sprintf("write file %q", path), kindOf(err), err)
	}
	return nil
}

func kindOf(err error) cnm.Kind {
	switch {
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return cnm.Forbidden
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cnm.Exhausted
	case errors.Is(err, errNotRegular), errors.Is(err, syscall.ENOTDIR),
		errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ELOOP):
		return cnm.Invalid
	default:
		return cnm.Internal
	}
}

func writeInPlace(path string, content []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errNotRegular
	}
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err = file.WriteAt(cover(content, info.Size()), 0); err == nil {
		err = file.Truncate(int64(len(content)))
	}
	return errors.Join(err, file.Close())
}

// cover returns the content with as many line ends as hide an old content of the
// given size.
func cover(content []byte, size int64) []byte {
	rest := size - int64(len(content))
	if rest <= 0 {
		return content
	}
	return bytes.Join([][]byte{content, bytes.Repeat([]byte("\n"), int(rest))}, nil)
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
