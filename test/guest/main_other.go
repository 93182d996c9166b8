//go:build !linux

// Command guest runs tests in another kernel, on Linux only.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "guest: this is for Linux, whose kernel it tests")
	os.Exit(1)
}
