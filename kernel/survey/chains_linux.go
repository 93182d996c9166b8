package survey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// families are those of nf_tables, as nft(8) calls them.
func families() map[nftables.TableFamily]string {
	return map[nftables.TableFamily]string{
		nftables.TableFamilyIPv4: "ip", nftables.TableFamilyIPv6: "ip6", nftables.TableFamilyINet: "inet",
		nftables.TableFamilyBridge: "bridge", nftables.TableFamilyARP: "arp",
	}
}

// hooks are those of the families of IP.
func hooks() []string { return []string{"prerouting", "input", "forward", "output", "postrouting"} }

// userChain is where operators have their rules if they work with iptables.
const userChain = "DOCKER-USER"

func (t *taking) chains(context.Context) error {
	// The socket is opened in the namespace that the descriptor stands for.
	conn, err := nftables.New(nftables.WithNetNSFd(t.host.FD()))
	if err != nil {
		return errno.Wrap("nftables", err)
	}
	chains, err := conn.ListChains()
	if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) {
		return nil // a kernel without it has no chains
	}
	if err != nil {
		return errno.Wrap("nftables: list chains", err)
	}
	for _, c := range chains {
		family := families()[c.Table.Family]
		if family == "" {
			continue
		}
		t.hint(c.Name)
		if c.Hooknum == nil && c.Name != userChain {
			continue
		}
		rules, err := conn.GetRules(c.Table, c)
		if errors.Is(err, unix.ENOENT) {
			continue // it went meanwhile
		}
		if err != nil {
			return errno.Wrap(fmt.Sprintf("nftables: read chain %q", c.Name), err)
		}
		if c.Name == userChain {
			t.report.UserRules += countRules(rules)
		}
		if c.Hooknum == nil || int(*c.Hooknum) >= len(hooks()) {
			continue
		}
		out := Chain{Family: family, Table: c.Table.Name, Name: c.Name, Hook: hooks()[*c.Hooknum]}
		if c.Priority != nil {
			out.Priority = int(*c.Priority)
		}
		out.Drops, out.Why = drops(c, rules)
		t.report.Chains = append(t.report.Chains, out)
	}
	return nil
}

// drops reports whether a chain refuses what no rule of it accepts: by its policy, or by a
// rule that concerns everything.
func drops(c *nftables.Chain, rules []*nftables.Rule) (bool, string) {
	if c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
		return true, "its policy is drop"
	}
	for _, r := range rules {
		if what := ends(r); what == "drop" || what == "reject" {
			return true, "it has a rule to " + what + " everything"
		}
	}
	return false, ""
}

// ends returns what a rule without conditions does with a packet, or nothing.
func ends(r *nftables.Rule) string {
	for _, e := range r.Exprs {
		switch e := e.(type) {
		case *expr.Counter, *expr.Log:
		case *expr.Reject:
			return "reject"
		case *expr.Verdict:
			switch e.Kind {
			case expr.VerdictDrop:
				return "drop"
			case expr.VerdictReturn:
				return "return"
			}
			return ""
		default:
			return ""
		}
	}
	return ""
}

// countRules leaves out those that only return, as the last one of DOCKER-USER does.
func countRules(rules []*nftables.Rule) int {
	n := 0
	for _, r := range rules {
		if ends(r) != "return" {
			n++
		}
	}
	return n
}

// hint notes whose chain it is, if the name tells.
func (t *taking) hint(chain string) {
	program := ""
	switch {
	case strings.HasPrefix(chain, "ufw-") || strings.HasPrefix(chain, "ufw6-"):
		program = "ufw"
	case chain == "DOCKER" || chain == "DOCKER-FORWARD":
		program = "docker"
	case strings.HasPrefix(chain, "KUBE-"):
		program = "kube-proxy"
	case strings.HasPrefix(chain, "CNI-") || strings.HasPrefix(chain, "NETAVARK"):
		program = "podman or CNI"
	}
	if program != "" && !slices.Contains(t.report.Hints, program) {
		t.report.Hints = append(t.report.Hints, program)
	}
}

// legacyTime is how long the program that shows a table of iptables-legacy may take.
const legacyTime = 5 * time.Second

// legacy looks at the tables of iptables-legacy, if there are any. To look at one that is
// not in use would make it.
func (t *taking) legacy(ctx context.Context) error {
	var errs []error
	for family, program := range map[string]string{"ip": "iptables-legacy-save", "ip6": "ip6tables-legacy-save"} {
		var names []byte
		err := t.host.Do(func() (err error) {
			names, err = os.ReadFile("/proc/thread-self/net/" + family + "_tables_names")
			return err
		})
		if errors.Is(err, os.ErrNotExist) || err == nil && !slices.Contains(strings.Fields(string(names)), "filter") {
			continue
		}
		if err != nil {
			errs = append(errs, errno.Wrap("tables of iptables-legacy", err))
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, legacyTime)
		out, err := run(ctx, t.host, program, "-t", "filter")
		cancel()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		t.parseSave(family, string(out))
	}
	return errors.Join(errs...)
}

// parseSave reads what iptables-save prints of the table filter.
func (t *taking) parseSave(family, text string) {
	const dropAll = " -j DROP"
	closed := make(map[string]bool)
	var chains []Chain
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, rest, _ := strings.Cut(strings.TrimLeft(line, ":"), " ")
		switch {
		case strings.HasPrefix(line, ":"):
			t.hint(name)
			if hook := strings.ToLower(name); slices.Contains(hooks(), hook) && name == strings.ToUpper(name) {
				drop := strings.HasPrefix(rest, "DROP")
				c := Chain{Family: family, Table: "filter (legacy)", Name: name, Hook: hook, Drops: drop}
				if drop {
					c.Why = "its policy is drop"
				}
				chains = append(chains, c)
			}
		case strings.HasPrefix(line, "-A "+userChain+" ") && line != "-A "+userChain+" -j RETURN":
			t.report.UserRules++
		case strings.HasPrefix(line, "-A ") && strings.HasSuffix(line, dropAll):
			chain := strings.TrimSuffix(strings.TrimPrefix(line, "-A "), dropAll)
			closed[chain] = true
		}
	}
	for _, c := range chains {
		if closed[c.Name] && !c.Drops {
			c.Drops, c.Why = true, "it has a rule to drop everything"
		}
		t.report.Chains = append(t.report.Chains, c)
	}
}

const (
	// usualBus is the address of the system's bus where nothing else is set.
	usualBus = "unix:path=/run/dbus/system_bus_socket"
	busTime  = 3 * time.Second
	// firewalldName is the one of firewalld (firewalld.dbus(5)).
	firewalldName = "org.fedoraproject.FirewallD1"
)

// bus asks who has firewalld's name. A host without a bus has no firewalld.
func (t *taking) bus(ctx context.Context) error {
	if t.options.Bus == "" && t.options.HostNamespace != "" {
		return nil
	}
	address := cmp.Or(t.options.Bus, os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), usualBus)
	ctx, cancel := context.WithTimeout(ctx, busTime)
	defer cancel()
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOTDIR) {
		return nil
	}
	if err != nil {
		return cnm.E("", cnm.Unavailable, fmt.Errorf("bus %q: %w", address, err))
	}
	defer conn.Close() //nolint:errcheck // read only
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, firewalldName).Store(&t.report.Firewalld)
	if err != nil {
		return cnm.E("", cnm.Unavailable, fmt.Errorf("bus %q: %w", address, err))
	}
	return nil
}
