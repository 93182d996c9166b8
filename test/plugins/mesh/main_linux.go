package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/docker/go-plugins-helpers/ipam"
	"github.com/docker/go-plugins-helpers/network"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: mesh FOLDER")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "mesh:", err)
		os.Exit(1)
	}
}

// serve returns when one of the two sockets cannot be served any more.
func serve(folder string) error {
	folder, err := filepath.Abs(folder)
	if err != nil {
		return err
	}
	manager, err := openManager(filepath.Join(folder, "granted"))
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() {
		failed <- network.NewHandler(newDriver()).ServeUnix(filepath.Join(folder, "mesh.sock"), os.Getgid())
	}()
	go func() {
		failed <- ipam.NewHandler(manager).ServeUnix(filepath.Join(folder, "meshipam.sock"), os.Getgid())
	}()
	return <-failed
}
