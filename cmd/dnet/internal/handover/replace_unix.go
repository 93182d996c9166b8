//go:build unix

package handover

import (
	"fmt"
	"os"
	"syscall"
)

// replace makes the process run another program.
func replace(path string, args []string) error {
	return fmt.Errorf("program %q: %w", path, syscall.Exec(path, append([]string{path}, args...), os.Environ()))
}
