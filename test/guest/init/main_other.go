//go:build !linux

// Command init is the first process of the rig's guest, which runs Linux.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "init: this is the first process of a Linux guest, and nothing else")
	os.Exit(1)
}
