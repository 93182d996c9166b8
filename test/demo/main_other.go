//go:build !linux

// Command demo shows the library at work; on systems other than Linux it says that
// it cannot.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "demo: this system has no network namespaces; run it on Linux")
	os.Exit(1)
}
