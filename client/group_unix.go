//go:build unix

package client

import (
	"os"
	"os/user"
	"strconv"

	"github.com/docker/libnetwork/internal/fileowner"
)

// socketGroup returns the name of the group that a socket belongs to, if its members may
// use it and root is not the only one; else it is empty.
func socketGroup(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	_, gid, ok := fileowner.Of(info)
	if !ok || gid == 0 || info.Mode().Perm()&0o060 != 0o060 {
		return ""
	}
	id := strconv.Itoa(gid)
	if group, err := user.LookupGroupId(id); err == nil {
		return group.Name
	}
	return id
}
