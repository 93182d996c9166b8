//go:build !linux

// Command cnibench measures CNI plugins side by side; on systems other than Linux it says
// that it cannot.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "cnibench: this system has no network namespaces; run it on Linux")
	os.Exit(1)
}
