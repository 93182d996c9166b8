package survey

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/netns"
)

// tablePrefix starts the names of the tables that package kernel/nft makes.
const tablePrefix = "libnetwork-"

// Rules returns what is in our tables of nftables, of all controllers, in the words that
// stand beside it there: of each chain the comments of its rules, and of each set the
// owners and intents of its elements. It needs no program.
func Rules(ctx context.Context, path string) (string, error) {
	const op = "read our tables"
	namespace, err := netns.Open(path)
	if err != nil {
		return "", err
	}
	defer namespace.Close() //nolint:errcheck // read only
	conn, err := nftables.New(nftables.WithNetNSFd(namespace.FD()))
	if err != nil {
		return "", errno.Wrap(op, err)
	}
	tables, err := conn.ListTables()
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) {
		return "", nil // a kernel without it has none
	}
	if err != nil {
		return "", errno.Wrap(op, err)
	}
	var out strings.Builder
	for _, table := range tables {
		if err := ctx.Err(); err != nil {
			return out.String(), err
		}
		if !strings.HasPrefix(table.Name, tablePrefix) {
			continue
		}
		fmt.Fprintf(&out, "table %s %s\n", families()[table.Family], table.Name)
		if err := errors.Join(writeChains(&out, conn, table), writeSets(&out, conn, table)); err != nil {
			return out.String(), errno.Wrap(op, err)
		}
	}
	return out.String(), nil
}

func writeChains(out *strings.Builder, conn *nftables.Conn, table *nftables.Table) error {
	chains, err := conn.ListChainsOfTableFamily(table.Family)
	if err != nil {
		return err
	}
	for _, c := range chains {
		if c.Table.Name != table.Name {
			continue
		}
		rules, err := conn.GetRules(table, c)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  chain %s\n", c.Name)
		for _, r := range rules {
			comment, ok := userdata.GetString(r.UserData, userdata.TypeComment)
			if !ok {
				comment = "a rule without a comment"
			}
			fmt.Fprintf(out, "    %s\n", strings.TrimRight(comment, "\x00"))
		}
	}
	return nil
}

func writeSets(out *strings.Builder, conn *nftables.Conn, table *nftables.Table) error {
	sets, err := conn.GetSets(table)
	if err != nil {
		return err
	}
	for _, set := range sets {
		if set.Anonymous {
			continue
		}
		elements, err := conn.GetSetElements(set)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "  set %s\n", set.Name)
		for _, e := range elements {
			if e.Comment != "" {
				fmt.Fprintf(out, "    %s\n", strings.TrimRight(e.Comment, "\x00"))
			}
		}
	}
	return nil
}
