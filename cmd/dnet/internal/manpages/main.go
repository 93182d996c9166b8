// Command manpages writes the manual pages of dnet into a folder. It is for `make install`
// and for packages; dnet itself links no such library, since all that is linked costs time
// at each start.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/spf13/cobra/doc"

	"github.com/docker/libnetwork/cmd/internal/command"
	"github.com/docker/libnetwork/cmd/internal/version"
)

func main() {
	stamp := flag.String("version", version.Version(), "`version` that the pages tell")
	flag.Usage = func() {
		_, _ = fmt.Fprintln(flag.CommandLine.Output(), "usage: manpages [-version VERSION] FOLDER")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := write(flag.Arg(0), *stamp); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "manpages:", err)
		os.Exit(1)
	}
}

// write writes a page for each command, and makes the folder if it is not there.
func write(folder, stamp string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	root := command.Root(command.Options{Version: stamp})
	root.DisableAutoGenTag = true
	root.InitDefaultCompletionCmd() // else it is there only when the commands run
	header := &doc.GenManHeader{Title: "DNET", Section: "8", Source: "dnet " + stamp, Manual: "libnetwork"}
	return doc.GenManTree(root, header, folder)
}
