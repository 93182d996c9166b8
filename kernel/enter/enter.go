// Package enter runs a program inside the network namespace of a container, with files of
// the container's, such as resolv.conf, in the place of the host's.
//
// The program is a child of this process. It gets a mount namespace of its own, in which
// the files are bound over those of the host; nobody else sees that. On systems other
// than Linux nothing can be run.
package enter

import "os"

// Command is a program to run.
type Command struct {
	// Namespace is the path of a network namespace; empty is that of this process.
	Namespace string
	// Files are bound, each over the path that it is named for. The paths must exist. A
	// symbolic link is followed: what it points to is covered.
	Files map[string]string
	// Hostname, if not empty, is what the program sees as the host's name.
	Hostname string

	// Path is the program's, and Args its arguments, the first of which is its name.
	Path string
	Args []string
	// Env nil is the environment of this process.
	Env []string
	// Stdin, Stdout and Stderr nil are /dev/null.
	Stdin, Stdout, Stderr *os.File
	// Signals are passed on to the program until it ends. The channel is not closed.
	Signals <-chan os.Signal
}
