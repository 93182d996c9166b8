//go:build unix

package plugin

import (
	"errors"
	"io/fs"
	"syscall"
)

// owner returns the user and the group of a file.
func owner(info fs.FileInfo) (uid, gid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}

// notFolder is for a path that leads through a file.
func notFolder(err error) bool { return errors.Is(err, syscall.ENOTDIR) }
