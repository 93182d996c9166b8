// Package handover does what dnet leaves to dnetd, by becoming dnetd: the process stays,
// with its number, its environment, its open files and who waits for it, and gets another
// program. So systemd and shells see one program, and nothing waits in between.
package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/docker/libnetwork/cmd/internal/settings"
	"github.com/docker/libnetwork/cnm"
)

// Name is the program to become, and Folder where packages put it that keep it out of the
// way of commands.
const (
	Name   = "dnetd"
	Folder = "/usr/libexec/dnet"
)

// Daemon is the daemon in another program. Its methods return only if that cannot be had;
// then the error is of kind Unavailable, as it is when no daemon answers.
type Daemon struct {
	// Args are those of this program, without its name, which the other gets as they are.
	Args []string
}

// Run becomes the daemon. The flags are among the arguments.
func (d Daemon) Run(context.Context, settings.Flags) error { return d.become("start the daemon") }

// Check becomes what checks a configuration file. The path is among the arguments.
func (d Daemon) Check(string, io.Writer) error { return d.become("check the configuration") }

// Serve becomes what serves a container engine. The flags are among the arguments.
func (d Daemon) Serve(context.Context, settings.Plugin) error {
	return d.become("serve a container engine")
}

func (d Daemon) become(operation string) error {
	// Where this program is is not known on all systems, and then not looked at.
	self, _ := os.Executable()
	path, err := find(self, Folder)
	if err == nil {
		err = replace(path, d.Args)
	}
	return cnm.E(operation, cnm.Unavailable, err)
}

// find looks for the program beside this one, in $PATH, and in the folder.
func find(self, folder string) (string, error) {
	places := []struct{ name, path string }{{"$PATH", Name}, {folder, filepath.Join(folder, Name)}}
	if self != "" {
		beside := filepath.Dir(self)
		places = append([]struct{ name, path string }{{beside, filepath.Join(beside, Name)}}, places...)
	}
	var missed []string
	for _, place := range places {
		path, err := exec.LookPath(place.path)
		if err == nil && sameFile(path, self) {
			err = errors.New("that one is dnet itself")
		}
		if err == nil {
			return path, nil
		}
		var lookup *exec.Error
		if errors.As(err, &lookup) {
			err = lookup.Err
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
			place.name += " (" + err.Error() + ")"
		}
		missed = append(missed, place.name)
	}
	return "", fmt.Errorf("program %q: is not in %s; install it beside dnet", Name, strings.Join(missed, ", nor in "))
}

// sameFile reports whether both paths are there and lead to one file: dnet must not become
// dnet over and over.
func sameFile(one, other string) bool {
	first, err := os.Stat(one)
	if err != nil {
		return false
	}
	second, err := os.Stat(other)
	return err == nil && os.SameFile(first, second)
}
