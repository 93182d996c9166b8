//go:build !linux

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "mesh: makes links of Linux, and runs there only")
	os.Exit(1)
}
