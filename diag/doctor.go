package diag

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/survey"
	"github.com/docker/libnetwork/netstate"
)

// examination is all that checks look at. They are pure functions of it.
type examination struct {
	*scene
	backend     string
	instance    string // what stands in the mark of the controller's links
	differences []libnetwork.Difference
	// resolvConf is what the host's resolv.conf holds.
	resolvConf string
	dataDir    string
	features   []kernel.FeatureStatus
}

// complaint is what a check finds wrong, without the check's name.
type complaint struct {
	level, message, fix string
}

// examine is one thing to look at.
type examine struct {
	// name is that in findings, and in docs/doctor.md.
	name string
	// fine is the message if there is nothing to say.
	fine string
	look func(*examination) []complaint
}

// checks is the table of all.
func checks() []examine {
	return []examine{
		{"kernel", "the kernel can do what networks need", (*examination).checkKernel},
		{"features", "the kernel has all that some kinds of network need", (*examination).checkFeatures},
		{"firewall", "packets are filtered", (*examination).checkFirewall},
		{"ip-forwarding", "the host forwards for the networks that need it", (*examination).checkForwarding},
		{"rp-filter", "answers may come by another link than questions go by", (*examination).checkReversePath},
		{"bridge-netfilter", "what stays on a bridge does not pass the rules for IP", (*examination).checkBridgeNetfilter},
		{"foreign-chains", "no other rules drop what they do not accept", (*examination).checkForeignChains},
		{"other-firewalls", "no other program looks after the packet filter", (*examination).checkOtherFirewalls},
		{"records", "the kernel holds what the records say, and nothing else that is ours", (*examination).checkRecords},
		{"settings", "the settings of the host are what the records say", (*examination).checkSettings},
		{"other-controllers", "no other controller has links on this host", (*examination).checkOtherControllers},
		{"subnets", "no other link or route of the host overlaps a network", (*examination).checkSubnets},
		{"published-ports", "the published ports of the host are held", (*examination).checkPorts},
		{"ephemeral-ports", "no published range is among the ports that the host hands out", (*examination).checkEphemeral},
		{"bridge-ports", "the bridges have room for more ports", (*examination).checkBridgePorts},
		{"mtu", "no network has packets that are too long for the way out", (*examination).checkMTU},
		{"neighbours", "the neighbour tables have room", (*examination).checkNeighbors},
		{"connections", "the table of connections has room", (*examination).checkConnections},
		{"resolv-conf", "the host has name servers to ask", (*examination).checkResolvConf},
		{"disk", "there is room for records", (*examination).checkDisk},
		{"data-dir", "the records are where they stay, and only their owner may change them", (*examination).checkDataDir},
	}
}

// Doctor looks for what is wrong on the host, and for what soon will be. Each check gives
// one finding or more, in the same order each time; one that finds nothing says so with
// the level ok. It changes nothing. An error means that there is nothing to go by.
func Doctor(ctx context.Context, o Options) ([]api.Finding, error) {
	const op = "examine the host"
	records := o.Inspector.Records()
	machine, err := o.survey(ctx, records, heldPorts(records))
	if err != nil {
		return nil, cnm.Wrap(op, err)
	}
	var out []api.Finding
	for _, err := range machine.Errors {
		out = append(out, api.Finding{Check: "survey", Level: api.LevelWarning, Message: err.Error(), Fix: "run it as root"})
	}
	backend := o.Inspector.Statistics().Firewall
	x := &examination{
		scene: newScene(records, machine, backend), backend: backend, dataDir: o.dataDir(), instance: short(o.Controller.ID()),
	}
	if x.differences, err = o.Inspector.Mend(ctx, libnetwork.MendOptions{DryRun: true}); err != nil {
		out = append(out, api.Finding{Check: "survey", Level: api.LevelWarning, Message: err.Error()})
	}
	text, err := os.ReadFile(o.resolvConf())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		out = append(out, api.Finding{Check: "survey", Level: api.LevelWarning, Message: err.Error()})
	}
	x.resolvConf = string(text)
	if x.features, err = kernel.Features(ctx); err != nil {
		out = append(out, api.Finding{Check: "survey", Level: api.LevelWarning, Message: err.Error()})
	}
	return append(out, x.all()...), nil
}

func (x *examination) all() []api.Finding {
	var out []api.Finding
	for _, c := range checks() {
		found := c.look(x)
		if len(found) == 0 {
			found = []complaint{{level: api.LevelOK, message: c.fine}}
		}
		for _, f := range found {
			out = append(out, api.Finding{Check: c.name, Level: f.level, Message: f.message, Fix: f.fix})
		}
	}
	return out
}

// checkFeatures tells of kernel features that only some networks need, and this kernel lacks.
func (x *examination) checkFeatures() []complaint {
	var out []complaint
	for _, f := range x.features {
		if !f.Present {
			out = append(out, complaint{
				level:   api.LevelInfo,
				message: fmt.Sprintf("this kernel has no %s (%s, module %s, since Linux %s): there can be no %s", f.Feature, f.Config, f.Module, f.Since, f.Purpose),
				fix:     "modprobe " + f.Module + ", or a kernel with " + f.Config + ", if you need it",
			})
		}
	}
	return out
}

// short is the part of an id that is shown, and that is part of marks.
func short(id string) string { return id[:min(12, len(id))] }

// wideRow is how many ports in a row are held by sockets at most (package portmap).
const wideRow = 256

// heldPorts are those of the host that a socket of the controller must hold.
func heldPorts(records libnetwork.Records) []survey.Port {
	var out []survey.Port
	for _, ep := range records.Endpoints {
		for _, b := range ep.Published {
			if !b.HostIP.IsValid() || b.Count() > wideRow || ep.SandboxID == "" {
				continue
			}
			for i := range b.Count() {
				out = append(out, survey.Port{
					Protocol: netstate.Protocol(b.Protocol), Address: netip.AddrPortFrom(b.HostIP, b.HostPort+uint16(i)),
				})
			}
		}
	}
	return out
}

func warn(fix, format string, values ...any) complaint {
	return complaint{api.LevelWarning, fmt.Sprintf(format, values...), fix}
}

func wrong(fix, format string, values ...any) complaint {
	return complaint{api.LevelError, fmt.Sprintf(format, values...), fix}
}

func inform(fix, format string, values ...any) complaint {
	return complaint{api.LevelInfo, fmt.Sprintf(format, values...), fix}
}
