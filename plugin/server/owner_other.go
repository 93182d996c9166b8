//go:build !unix

package server

import "io/fs"

// owner knows no users here.
func owner(fs.FileInfo) (uid int, ok bool) { return 0, false }
