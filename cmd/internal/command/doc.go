// Package command is the command line of dnet, and that of dnetd, which has a few of its
// commands. Each command asks the daemon through package client, and prints what it
// answers; exec and run also start a program in a container's namespace, by package
// kernel/enter.
//
// Words on the command line are checked before anything is asked. Errors go to the
// standard error: what and why on one line, what to do about it on the next. The exit
// code says what kind of error it was (api.ExitCode); run and exec exit with the code of
// their program.
package command
