// Package sysctl reads and writes the settings below /proc/sys/net/ipv4 and
// /proc/sys/net/ipv6 of a network namespace.
package sysctl
