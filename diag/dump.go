package diag

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/survey"
)

// Times that sources of a bundle may take.
const (
	programTime = 5 * time.Second
	// eventTime is how long to wait for events that are remembered: they come at once.
	eventTime = 200 * time.Millisecond
)

// Dump writes a bundle for somebody who is to help: a tar file, compressed with gzip, with
// what the controller holds, what the host and each container's namespace hold, and what
// Doctor finds. What could not be read is a line of its file errors.txt. It has addresses
// and names of networks and containers, and no secrets that are named like one.
//
// An error means that the bundle is not complete, because the writer took no more.
func Dump(ctx context.Context, o Options, to io.Writer) error {
	zip := gzip.NewWriter(to)
	b := &bundle{options: o, archive: tar.NewWriter(zip), now: time.Now()}
	b.records = o.Inspector.Records()
	b.controller(ctx)
	b.machine(ctx)
	b.containers(ctx)
	b.file("errors.txt", []byte(strings.Join(b.problems, "")))
	return cnm.Wrap("write support bundle", errors.Join(b.err, b.archive.Close(), zip.Close()))
}

// bundle is one in the making.
type bundle struct {
	options  Options
	records  libnetwork.Records
	archive  *tar.Writer
	now      time.Time
	problems []string
	err      error // the first of the writer
}

// folder is where all is in the archive.
const folder = "libnetwork/"

func (b *bundle) file(name string, content []byte) {
	if b.err != nil {
		return
	}
	header := &tar.Header{Name: folder + name, Mode: 0o600, Size: int64(len(content)), ModTime: b.now, Typeflag: tar.TypeReg}
	if b.err = b.archive.WriteHeader(header); b.err == nil {
		_, b.err = b.archive.Write(content)
	}
}

// problem notes what could not be read.
func (b *bundle) problem(name string, err error) {
	b.problems = append(b.problems, fmt.Sprintf("%s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", "; ")))
}

// json adds a value; what came with an error is added too.
func (b *bundle) json(name string, value any, err error) {
	if err != nil {
		b.problem(name, err)
	}
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		b.problem(name, err)
		return
	}
	b.file(name, append(content, '\n'))
}

func (b *bundle) text(name, content string, err error) {
	if err != nil {
		b.problem(name, err)
	}
	if content != "" {
		b.file(name, []byte(content))
	}
}

// controller adds what the controller tells.
func (b *bundle) controller(ctx context.Context) {
	o := b.options
	b.json("info.json", map[string]any{
		"version": o.Version, "controller": o.Controller.ID(), "time": b.now, "pid": os.Getpid(), "go": runtime.Version(),
		"system": runtime.GOOS + "/" + runtime.GOARCH, "processors": runtime.NumCPU(),
		"drivers": o.Controller.BuiltinDrivers(), "ipamDrivers": o.Controller.BuiltinIPAMDrivers(),
	}, nil)
	b.json("config.json", settingsOf(o.Controller.Config()), nil)
	b.json("records.json", withoutSecrets(b.records), nil)
	b.json("statistics.json", o.Inspector.Statistics(), nil)
	b.json("events.json", b.events(ctx), nil)
	differences, err := o.Inspector.Mend(ctx, libnetwork.MendOptions{DryRun: true})
	b.json("differences.json", differences, err)
	findings, err := Doctor(ctx, o)
	b.json("findings.json", findings, err)
	addresses := make(map[string][]libnetwork.SubnetUse)
	for _, n := range b.records.Networks {
		use, err := o.Inspector.AddressUse(n.ID)
		if err != nil {
			b.problem("addresses.json", err)
			continue
		}
		addresses[n.Name] = use
	}
	b.json("addresses.json", addresses, nil)
	var goroutines bytes.Buffer
	// 2 is the form of a panic, which says how long each has been waiting.
	err = pprof.Lookup("goroutine").WriteTo(&goroutines, 2)
	b.text("goroutines.txt", goroutines.String(), err)
	if build, ok := debug.ReadBuildInfo(); ok {
		b.text("build.txt", build.String(), nil)
	}
}

// events returns those that are remembered.
func (b *bundle) events(ctx context.Context) []libnetwork.Event {
	ctx, cancel := context.WithTimeout(ctx, eventTime)
	defer cancel()
	var out []libnetwork.Event
	for e := range b.options.Inspector.Events(ctx, 0) {
		out = append(out, e)
	}
	return out
}

// machine adds what the host is like.
func (b *bundle) machine(ctx context.Context) {
	host := b.options.hostNamespace()
	report, err := b.options.survey(ctx, b.records, nil)
	if err != nil {
		b.problem("host", err)
		return
	}
	for _, err := range report.Errors {
		b.problem("host", err)
	}
	b.text("host/network.txt", spaceText(report.Host), nil)
	b.json("host/machine.json", struct {
		Release                     string
		Abilities                   []survey.Ability
		Sysctls                     map[string]string
		Chains                      []survey.Chain
		Hints                       []string
		UserRules                   int
		Firewalld                   bool
		Connections, MaxConnections int
		Sockets                     []survey.Port
		Programs                    map[string]string
		Folders                     []survey.Folder
	}{
		report.Release, report.Abilities, report.Sysctls, report.Chains, report.Hints, report.UserRules, report.Firewalld,
		report.Connections, report.MaxConnections, report.Sockets, report.Programs, report.Folders,
	}, nil)
	rules, err := survey.Rules(ctx, host)
	b.text("host/filter.txt", rules, err)
	b.text("host/intents.txt", intentsText(b.records), nil)
	for _, program := range []struct{ file, name, arguments string }{
		{"host/nft.txt", "nft", "list ruleset"}, {"host/iptables.txt", "iptables-save", ""}, {"host/ip6tables.txt", "ip6tables-save", ""},
		{"host/iptables-legacy.txt", "iptables-legacy-save", ""}, {"host/ip6tables-legacy.txt", "ip6tables-legacy-save", ""},
	} {
		if path := report.Programs[program.name]; path != "" {
			b.program(ctx, program.file, host, path, strings.Fields(program.arguments)...)
		}
	}
	resolvConf, err := os.ReadFile(b.options.resolvConf())
	b.text("host/resolv.conf", string(resolvConf), err)
}

// program adds what a program prints.
func (b *bundle) program(ctx context.Context, file, namespace, path string, arguments ...string) {
	ctx, cancel := context.WithTimeout(ctx, programTime)
	defer cancel()
	out, err := survey.Run(ctx, namespace, path, arguments...)
	b.text(file, string(out), err)
}

// containers adds what each namespace holds.
func (b *bundle) containers(ctx context.Context) {
	for _, rec := range b.records.Sandboxes {
		if rec.Host || !rec.Ready {
			continue
		}
		at := "containers/" + fileName(rec.ContainerID) + "/"
		space, err := survey.Look(ctx, rec.Key)
		b.text(at+"network.txt", spaceText(space), err)
		sockets, err := survey.Sockets(ctx, rec.Key)
		b.json(at+"sockets.json", sockets, err)
		if sb, err := b.options.Controller.SandboxByID(rec.ID); err != nil {
			b.problem(at+"statistics.json", err)
		} else {
			traffic, err := sb.Statistics()
			b.json(at+"statistics.json", map[string]any{"interfaces": traffic, "resolver": sb.ResolverStatistics()}, err)
		}
		for name, path := range map[string]string{"hosts": rec.HostsPath, "resolv.conf": rec.ResolvConfPath} {
			if path != "" {
				content, err := os.ReadFile(path)
				b.text(at+name, string(content), err)
			}
		}
	}
}

// fileName makes of an id what leads nowhere else in an archive.
func fileName(id string) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`/\:`, r) || r < ' ' {
			return '_'
		}
		return r
	}, id)
	if strings.Trim(name, ".") == "" {
		return "_" + name
	}
	return name
}

// spaceText writes what a namespace holds, a line each.
func spaceText(s survey.Space) string {
	var out strings.Builder
	for _, l := range s.Links {
		state := "down"
		if l.Up {
			state = "up"
		}
		fmt.Fprintf(&out, "link %s %s mtu %d %s mac %s", l.Name, cmp.Or(l.Kind, "physical"), l.MTU, state, l.MAC)
		if l.Master != "" {
			fmt.Fprintf(&out, " master %s", l.Master)
		}
		if l.Alias != "" {
			fmt.Fprintf(&out, " alias %q", l.Alias)
		}
		out.WriteByte('\n')
		for _, address := range l.Addresses {
			fmt.Fprintf(&out, "  address %s\n", address)
		}
	}
	for _, r := range s.Routes {
		fmt.Fprintf(&out, "route %s", r.Destination)
		if r.Gateway.IsValid() {
			fmt.Fprintf(&out, " via %s", r.Gateway)
		}
		fmt.Fprintf(&out, " dev %s metric %d\n", r.Link, r.Metric)
	}
	for _, n := range s.Neighbors {
		fmt.Fprintf(&out, "neighbour %s dev %s mac %s %s\n", n.Address, n.Link, cmp.Or(n.MAC, "-"), n.State)
	}
	return out.String()
}

// intentsText writes what the packet filter is to do, by owner.
func intentsText(records libnetwork.Records) string {
	var lines []string
	for _, n := range records.Networks {
		for _, p := range n.Parts {
			for _, i := range p.Intents {
				lines = append(lines, p.Owner+": "+i.String()+"\n")
			}
		}
	}
	for _, ep := range records.Endpoints {
		for _, i := range ep.Intents {
			lines = append(lines, ep.Owner()+": "+i.String()+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}
