package command

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

// answer is who answers what in one container.
type answer struct {
	Container string `json:"container"`
	api.Resolution
}

func (a *app) dnsCommand() *cobra.Command {
	var container, format string
	cmd := &cobra.Command{
		Use: "dns NAME", Short: "Tell who answers what when a container asks for a name, or for an address",
		Example: "  dnet dns www\n  dnet dns --container c1 172.18.0.2",
		Args:    exactly("NAME"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&container, "container", "", "ask as this `container` (default: as each)")
	_ = cmd.RegisterFlagCompletionFunc("container", a.completeSandboxes)
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		if err := checkName("name", args[0]); err != nil {
			return err
		}
		containers := []string{container}
		if container == "" {
			if containers, err = containerNames(ctx, c); err != nil {
				return err
			}
		} else if err := checkName("container", container); err != nil {
			return err
		}
		answers := []answer{}
		for _, name := range containers {
			resolution, err := c.Resolve(ctx, name, args[0])
			if err != nil {
				return err
			}
			answers = append(answers, answer{name, resolution})
		}
		return a.showAnswers(form, answers)
	})
	return cmd
}

func (a *app) showAnswers(form formatter, answers []answer) error {
	if form.template != nil {
		for _, r := range answers {
			if err := form.print(r); err != nil {
				return err
			}
		}
		return nil
	}
	if form.text != "table" {
		return form.print(answers)
	}
	var rows [][]string
	for _, r := range answers {
		by := r.Networks
		if r.Source == "outside" {
			by = r.Servers
		}
		told := strings.Join(r.Answers, " ")
		if told == "" {
			told = r.Reason
		}
		rows = append(rows, []string{cut(r.Container, false), r.Source, strings.Join(by, " "), told})
	}
	a.table([]string{"CONTAINER", "SOURCE", "ANSWERED BY", "ANSWER"}, rows)
	return nil
}

func (a *app) whyCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use: "why FROM TO:PORT[/PROTOCOL]", Short: "Explain whether a packet arrives, and what decides",
		Long: `Explain whether a packet arrives, and what decides, from the records: nothing is sent.
FROM is a container, an address, "host", or "outside" for another machine. TO is a
container, a name as FROM resolves it, an address, or "host" for a published port.`,
		Example: "  dnet why c1 db:5432\n  dnet why outside host:8080\n  dnet why c1 '[fd00::2]:53/udp'",
		Args:    exactly("FROM", "TO:PORT[/PROTOCOL]"), ValidArgsFunction: inOrder(a.names(containerNames)),
	}
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		if err := checkName("source", args[0]); err != nil {
			return err
		}
		to, err := parseTarget(args[1])
		if err != nil {
			return err
		}
		explanation, err := c.Explain(ctx, args[0], to.host, to.port, to.protocol)
		if err != nil {
			return err
		}
		if form.text != "table" {
			return form.print(explanation)
		}
		a.showExplanation(explanation)
		return nil
	})
	return cmd
}

func (a *app) showExplanation(e api.Explanation) {
	result := a.colour(green, "arrives")
	if !e.Allowed {
		result = a.colour(red, "does not arrive")
	}
	address := ""
	if e.Address != "" && e.Address != e.To {
		address = " (" + e.Address + ")"
	}
	a.printf("%s to %s%s port %d/%s: %s\n", e.From, e.To, address, e.Port, e.Protocol, result)
	for i, step := range e.Steps {
		verdict := ""
		switch step.Verdict {
		case "":
		case "drop":
			verdict = " [" + a.colour(red, step.Verdict) + "]"
		default:
			verdict = " [" + a.colour(green, step.Verdict) + "]"
		}
		a.printf("%3s. %s: %s%s\n", strconv.Itoa(i+1), step.Where, step.What, verdict)
		if step.Rule != "" {
			a.printf("       %s\n", step.Rule)
		}
	}
}
