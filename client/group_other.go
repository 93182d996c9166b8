//go:build !unix

package client

// socketGroup returns an empty name: there are no groups of files.
func socketGroup(string) string { return "" }
