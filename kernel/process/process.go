// Package process tells of other processes what a service needs: who is at the other end
// of a Unix socket, when a process ends, and who holds the lock of a file.
//
// On systems other than Linux every function returns an error of kind Unsupported.
package process

import (
	"fmt"
	"strconv"
	"strings"
)

// startField is the number of the start time in /proc/PID/stat, counted from the field
// behind the name (proc_pid_stat(5): the name is the 2nd field, the start the 22nd).
const startField = 22 - 3

// parseStart takes the start time out of the content of /proc/PID/stat. The name, which is
// in parentheses, may itself hold spaces and parentheses.
func parseStart(stat string) (uint64, error) {
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, fmt.Errorf("no name in %q", stat)
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) <= startField {
		return 0, fmt.Errorf("only %d fields behind the name in %q", len(fields), stat)
	}
	return strconv.ParseUint(fields[startField], 10, 64)
}

// lockHolder looks in the content of /proc/locks for whoever holds a lock on the file with
// the device and inode; 0 means nobody, or nobody of this PID namespace.
func lockHolder(locks string, major, minor uint32, inode uint64) int {
	file := fmt.Sprintf("%02x:%02x:%d", major, minor, inode)
	for line := range strings.Lines(locks) {
		fields := strings.Fields(line)
		// A lock that waits has "->" as its second field.
		if len(fields) < 6 || fields[1] == "->" || fields[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(fields[4]); err == nil && pid > 0 {
			return pid
		}
	}
	return 0
}
