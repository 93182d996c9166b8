//go:build unix

package server

import (
	"io/fs"
	"syscall"
)

// owner returns the user whose the file is.
func owner(info fs.FileInfo) (uid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return int(stat.Uid), true
}
