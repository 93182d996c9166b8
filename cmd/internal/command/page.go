package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (a *app) pageCommand() *cobra.Command {
	return &cobra.Command{
		Use: "page", Short: "Print docs/cli.md", Hidden: true,
		Args: exactly(),
		RunE: func(*cobra.Command, []string) error {
			// The flags of what runs in the foreground are told by its help, and belong to
			// the pages about it.
			writePage(a.out, newApp(Options{Getenv: a.Getenv}).root())
			return nil
		},
	}
}

// intro begins the page.
const intro = `# The command line

Written by ` + "`dnet page > docs/cli.md`" + `; a test keeps it true. ` + "`dnet COMMAND --help`" + ` says the same.

Commands ask the daemon at ` + "`--host`" + `, else ` + "`$DNET_HOST`" + `, else unix:///run/libnetwork/dnet.sock. Long
flags may have one dash, as in 2017, and ` + "`dnet -d`" + ` is ` + "`dnet daemon`" + `, which becomes the
program ` + "`dnetd`" + `: it is looked for beside dnet, in ` + "`$PATH`" + `, and in ` + "`/usr/libexec/dnet`" + `. Lists take
` + "`--format table|json|yaml|TEMPLATE`, `--quiet`, `--no-trunc` and `--filter key=value`" + `; a template
sees the fields of package api, as in ` + "`{{.Name}}`" + `, and the functions json, join and short.

Errors are two lines, what and why, and what to do. Exit codes: 0 well, 1 a defect, or what
doctor and repair find; 2 bad input, 3 not found, 4 exists already, 5 forbidden now, 6 time-out,
7 no daemon, 8 used up, 9 changed meanwhile, 10 unsupported. ` + "`run` and `exec`" + ` pass their
program's: 128 and the signal if one ended it, 126 and 127 if it cannot be started.
`

// writePage writes all commands as one page.
func writePage(out io.Writer, root *cobra.Command) {
	_, _ = fmt.Fprint(out, intro)
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if cmd.Hidden || cmd.Name() == "help" || cmd.Name() == "completion" {
			return
		}
		if !cmd.HasSubCommands() {
			writeSection(out, cmd)
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(root)
}

func writeSection(out io.Writer, cmd *cobra.Command) {
	_, _ = fmt.Fprintf(out, "\n## %s\n\n%s.\n\n```\n%s\n", cmd.CommandPath(), strings.TrimSuffix(cmd.Short, "."), strings.TrimSuffix(cmd.UseLine(), " [flags]"))
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "    --" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", --" + f.Name
		}
		_, _ = fmt.Fprintf(out, "  %s\n", strings.TrimRight(fmt.Sprintf("%-34s %s", name+" "+value, usage), " "))
	})
	if cmd.Example != "" {
		_, _ = fmt.Fprintf(out, "\n%s\n", cmd.Example)
	}
	_, _ = fmt.Fprint(out, "```\n")
}
