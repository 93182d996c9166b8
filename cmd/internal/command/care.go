package command

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

func (a *app) repairCommand() *cobra.Command {
	var dryRun bool
	var format string
	cmd := &cobra.Command{
		Use: "repair", Short: "Make links, addresses, routes and the packet filter what they should be",
		Long: `Compare what the kernel holds with the daemon's records, and mend what differs. What goes
well is left alone. What cannot be mended makes the exit code 1.`,
		Example: "  dnet repair --dry-run\n  dnet repair",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only show what differs")
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		report, err := c.Repair(ctx, client.RepairOptions{DryRun: dryRun, Progress: a.progress})
		a.endProgress()
		if err != nil {
			return err
		}
		if form.text != "table" {
			err = form.print(report)
		} else {
			a.showRepair(report)
		}
		if err == nil && len(report.Errors) > 0 {
			return exitCode(1)
		}
		return err
	})
	return cmd
}

// progress tells how far a repair has come: on a terminal in one line that is written over.
func (a *app) progress(p api.RepairProgress) {
	if a.errorTerminal {
		a.notef("\r\x1b[K%d of %d %s", p.Done, p.Total, p.Subject)
		return
	}
	a.notef("%d of %d %s\n", p.Done, p.Total, p.Subject)
}

func (a *app) endProgress() {
	if a.errorTerminal {
		a.notef("\r\x1b[K")
	}
}

func (a *app) showRepair(report api.RepairReport) {
	for _, d := range report.Differences {
		a.printf("%s\n", d.Subject)
		for _, change := range d.Changes {
			a.printf("  %s\n", change)
		}
	}
	for _, problem := range report.Errors {
		a.printf("%s: %s\n", a.colour(red, "not mended"), problem)
	}
	switch {
	case len(report.Differences) == 0 && len(report.Errors) == 0:
		a.notef("nothing differs from the records\n")
	case report.DryRun:
		a.notef("nothing was changed; to mend it: dnet repair\n")
	}
}

func (a *app) doctorCommand() *cobra.Command {
	var all bool
	var format string
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look for what is wrong with the machine and the daemon, and how to mend it",
		Long:    "Look for what is wrong with the machine and the daemon, and how to mend it. If something is\nof the level error, the exit code is 1.",
		Example: "  dnet doctor\n  dnet doctor --all",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&all, "all", "a", false, "also show what is well")
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		findings, err := c.Doctor(ctx)
		if err != nil {
			return err
		}
		bad := false
		for _, f := range findings {
			bad = bad || f.Level == api.LevelError
		}
		if form.text == "table" {
			a.showFindings(findings, all)
		} else if err := form.print(findings); err != nil {
			return err
		}
		if bad {
			return exitCode(1)
		}
		return nil
	})
	return cmd
}

func (a *app) showFindings(findings []api.Finding, all bool) {
	colours := map[string]string{api.LevelOK: green, api.LevelInfo: "0", api.LevelWarning: yellow, api.LevelError: red}
	well := 0
	for _, f := range findings {
		if f.Level == api.LevelOK {
			well++
			if !all {
				continue
			}
		}
		pad := strings.Repeat(" ", max(0, len(api.LevelWarning)-len(f.Level)))
		a.printf("%s%s  %s: %s\n", a.colour(colours[f.Level], f.Level), pad, f.Check, f.Message)
		if f.Fix != "" {
			a.printf("         to mend it: %s\n", f.Fix)
		}
	}
	a.notef("%d checks, of which %d are well\n", len(findings), well)
}
