// Package hook tests dnet-hook with the runtimes that call it: runc and crun start
// containers whose network comes from nowhere else.
package hook
