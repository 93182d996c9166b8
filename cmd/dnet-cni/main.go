// Command dnet-cni is a CNI plugin: see package cni. Container runtimes start it.
package main

import (
	"context"
	"os"

	"github.com/docker/libnetwork/cni"
)

func main() {
	os.Exit(cni.Run(context.Background(), cni.Process{Environment: os.Getenv, Input: os.Stdin, Output: os.Stdout}))
}
