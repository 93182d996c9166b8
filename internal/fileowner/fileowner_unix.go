//go:build unix

package fileowner

import (
	"io/fs"
	"syscall"
)

// Of returns the user and the group whose the file is; ok is false if that cannot be told.
func Of(info fs.FileInfo) (uid, gid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}
