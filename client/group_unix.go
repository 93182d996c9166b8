//go:build unix

package client

import (
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// socketGroup returns the name of the group that a socket belongs to, if its members may
// use it and root is not the only one; else it is empty.
func socketGroup(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	status, ok := info.Sys().(*syscall.Stat_t)
	if !ok || status.Gid == 0 || info.Mode().Perm()&0o060 != 0o060 {
		return ""
	}
	id := strconv.FormatUint(uint64(status.Gid), 10)
	if group, err := user.LookupGroupId(id); err == nil {
		return group.Name
	}
	return id
}
