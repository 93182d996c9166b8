package kernel

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// keepsAddrProtocol reports whether the kernel keeps IFA_PROTO, as it does since
// Linux 5.18. Nothing says so but an address that has one, and there may be none
// yet; so the version decides.
func keepsAddrProtocol() bool { return atLeast(Release(), 5, 18) }

// Release returns that of the running kernel, such as "6.1.0-18-amd64"; empty if it cannot
// be told.
func Release() string {
	var name unix.Utsname
	if unix.Uname(&name) != nil {
		return ""
	}
	return unix.ByteSliceToString(name.Release[:])
}

// atLeast compares the beginning of a release such as "6.1.0-18-amd64".
func atLeast(release string, major, minor int) bool {
	var haveMajor, haveMinor int
	if _, err := fmt.Sscanf(release, "%d.%d", &haveMajor, &haveMinor); err != nil {
		return false
	}
	return haveMajor > major || haveMajor == major && haveMinor >= minor
}
