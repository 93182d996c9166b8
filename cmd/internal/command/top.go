package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
)

// shortestInterval keeps top from being a load itself.
const shortestInterval = 100 * time.Millisecond

// rate is the traffic of an interface in a time, for each second.
type rate struct {
	Container string `json:"container"`
	Interface string `json:"interface"`
	Network   string `json:"network"`
	// Bytes and packets a second, received and sent by the container.
	RxBytes   float64 `json:"rx_bytes_per_second"`
	TxBytes   float64 `json:"tx_bytes_per_second"`
	RxPackets float64 `json:"rx_packets_per_second"`
	TxPackets float64 `json:"tx_packets_per_second"`
	// Lost are errors and drops of both directions, in the whole time.
	Lost uint64 `json:"lost"`
}

func (a *app) topCommand() *cobra.Command {
	var count int
	var interval time.Duration
	var format string
	cmd := &cobra.Command{
		Use: "top", Short: "Show the traffic of containers, the busiest first",
		Long: `Show the traffic of each interface of containers, the busiest first, as the container sees it:
RX is what it receives. On a terminal the table is drawn anew after each interval; otherwise
one is printed after the other.`,
		Example: "  dnet top\n  dnet top --count 1 --interval 10s --format json",
		Args:    exactly(), ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().IntVarP(&count, "count", "n", 0, "end after `N` tables; 0 is never")
	cmd.Flags().DurationVarP(&interval, "interval", "i", 2*time.Second, "`time` that is measured")
	addFormat(cmd, &format, "table")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, _ []string) error {
		form, err := a.newFormatter(format)
		if err != nil {
			return err
		}
		if interval < shortestInterval {
			return invalid("interval", interval.String(), "must be at least "+shortestInterval.String())
		}
		if count < 0 {
			return invalid("count", strconv.Itoa(count), "must not be negative")
		}
		return a.measure(ctx, c, form, count, interval)
	})
	return cmd
}

// measure prints a table after each interval.
func (a *app) measure(ctx context.Context, c *client.Client, form formatter, count int, interval time.Duration) error {
	before, err := c.Statistics(ctx)
	if err != nil {
		return err
	}
	last := time.Now()
	ticks := time.NewTicker(interval)
	defer ticks.Stop()
	for shown := 0; count == 0 || shown < count; shown++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		now, err := c.Statistics(ctx)
		if err != nil {
			return err
		}
		at := time.Now()
		rates := difference(before, now, at.Sub(last).Seconds())
		before, last = now, at
		if err := a.showRates(form, rates); err != nil || a.out.err != nil {
			return err
		}
	}
	return nil
}

// difference returns the rates between two readings, the highest first. An interface that
// was not there before, or was made anew, counts from its beginning.
func difference(before, now []api.SandboxStatistics, seconds float64) []rate {
	type key struct{ sandbox, name string }
	old := map[key]api.InterfaceStatistics{}
	for _, s := range before {
		for _, i := range s.Interfaces {
			old[key{s.SandboxID, i.Name}] = i
		}
	}
	rates := []rate{}
	for _, s := range now {
		for _, i := range s.Interfaces {
			was := old[key{s.SandboxID, i.Name}]
			since := func(now, was uint64) uint64 {
				if now < was {
					return now
				}
				return now - was
			}
			rates = append(rates, rate{
				Container: s.ContainerID, Interface: i.Name, Network: i.Network,
				RxBytes: float64(since(i.RxBytes, was.RxBytes)) / seconds, TxBytes: float64(since(i.TxBytes, was.TxBytes)) / seconds,
				RxPackets: float64(since(i.RxPackets, was.RxPackets)) / seconds, TxPackets: float64(since(i.TxPackets, was.TxPackets)) / seconds,
				Lost: since(i.RxErrors, was.RxErrors) + since(i.RxDropped, was.RxDropped) + since(i.TxErrors, was.TxErrors) + since(i.TxDropped, was.TxDropped),
			})
		}
	}
	slices.SortStableFunc(rates, func(a, b rate) int {
		return cmp.Or(cmp.Compare(b.RxBytes+b.TxBytes, a.RxBytes+a.TxBytes), cmp.Compare(a.Container, b.Container), cmp.Compare(a.Interface, b.Interface))
	})
	return rates
}

func (a *app) showRates(form formatter, rates []rate) error {
	switch {
	case form.template != nil:
		for _, r := range rates {
			if err := form.print(r); err != nil {
				return err
			}
		}
		return nil
	case form.text == "json":
		text, err := marshal(rates, "")
		a.printf("%s", text)
		return err
	case form.text == "yaml":
		a.printf("---\n")
		return form.print(rates)
	}
	if a.outTerminal {
		a.printf("\x1b[H\x1b[2J") // to the upper left corner, and clear
	}
	var rows [][]string
	for _, r := range rates {
		rows = append(rows, []string{
			cut(r.Container, false), r.Interface, r.Network, perSecond(r.RxBytes, "B"), perSecond(r.TxBytes, "B"),
			perSecond(r.RxPackets, ""), perSecond(r.TxPackets, ""), strconv.FormatUint(r.Lost, 10),
		})
	}
	a.table([]string{"CONTAINER", "INTERFACE", "NETWORK", "RX/S", "TX/S", "RX PACKETS/S", "TX PACKETS/S", "LOST"}, rows)
	return nil
}

// perSecond writes a number with a prefix of units: 1.5 kB.
func perSecond(value float64, unit string) string {
	prefix := ""
	for _, next := range []string{"k", "M", "G", "T"} {
		if value < 1000 {
			break
		}
		value, prefix = value/1000, next
	}
	if prefix == "" {
		return strings.TrimSpace(fmt.Sprintf("%.0f %s", value, unit))
	}
	return fmt.Sprintf("%.1f %s%s", value, prefix, unit)
}
