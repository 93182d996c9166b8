package command

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

func (a *app) dumpCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "dump", Short: "Collect what a report of a defect needs, as a tar.gz",
		Long: `Collect what a report of a defect needs: records, differences, links, routes, rules, what the
daemon is doing. It holds addresses and names, but no keys of TLS.`,
		Example: "  dnet dump\n  dnet dump --output - | tar tz",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVarP(&file, "output", "o", "", "`file` to write; - is the standard output (default dnet-TIME.tar.gz here)")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		if file == "-" {
			if a.outTerminal {
				return cnm.E("", cnm.Invalid, errors.New("the bundle is binary: not written to a terminal"))
			}
			return c.Bundle(ctx, a.out)
		}
		if file == "" {
			file = "dnet-" + time.Now().Format("20060102-150405") + ".tar.gz"
		}
		ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
		defer stop()
		a.notef("collecting...\n")
		if err := writeWhole(file, func(to io.Writer) error { return c.Bundle(ctx, to) }); err != nil {
			return err
		}
		a.printf("%s\n", file)
		return nil
	})
	return cmd
}

// writeWhole writes a file that is there whole or not at all, and that others cannot read.
func writeWhole(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return cnm.E("write the bundle", cnm.Forbidden, err)
	}
	defer os.Remove(file.Name()) //nolint:errcheck // it has another name by then, or is of no use
	if err := write(file); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Close(); err != nil {
		return cnm.E("write the bundle", cnm.Internal, err)
	}
	return cnm.Wrap("write the bundle", os.Rename(file.Name(), path))
}
