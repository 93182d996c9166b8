// Package sysctl reads and writes the settings below /proc/sys/net of a network
// namespace. On systems other than Linux it is empty.
package sysctl
