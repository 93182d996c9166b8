//go:build !linux

package enter

import (
	"errors"

	"github.com/docker/libnetwork/cnm"
)

// Run returns Unsupported: only Linux has network namespaces.
func Run(Command) (int, error) {
	return 0, cnm.E("run in a namespace", cnm.Unsupported, errors.New("only Linux has network namespaces"))
}
