//go:build !unix

package plugin

// notFolder is not told apart here from what does not exist.
func notFolder(error) bool { return false }
