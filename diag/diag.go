// Package diag tells how a controller and its host are doing: [NewCollector] gives its
// figures to Prometheus, [Doctor] looks for what is or soon will be wrong, [Explain] says
// why a packet arrives or does not, and [Dump] writes all that somebody needs who is to
// help from afar.
//
// Nothing here changes the host. What the machine is like is read by package
// kernel/survey; what is made of it are pure functions of that and of the records.
package diag

import (
	"cmp"
	"context"
	"slices"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/kernel/survey"
)

// Options say whom to ask. The first two are required, and as a rule the same.
type Options struct {
	Controller libnetwork.NetworkController
	Inspector  libnetwork.Inspector
	// Version is that of the program, for people; it may be empty.
	Version string
	// Bus is the address of the D-Bus on which firewalld is looked for. Empty means the
	// system's, unless the controller's host is another namespace than that of the process.
	Bus string
	// ResolvConf is the path of the host's resolv.conf; empty means /etc/resolv.conf.
	ResolvConf string
	// PerContainer tells the traffic of each container, and not only of each network. That
	// is a series for each container there ever was, to whoever keeps them.
	PerContainer bool
}

// hostNamespace is the path of the namespace that plays the host.
func (o Options) hostNamespace() string { return o.Controller.Config().Daemon.HostNamespace }

func (o Options) dataDir() string {
	return cmp.Or(o.Controller.Config().Daemon.DataDir, config.DefaultDataDir)
}

func (o Options) execRoot() string {
	return cmp.Or(o.Controller.Config().Daemon.ExecRoot, config.DefaultExecRoot)
}

func (o Options) resolvConf() string { return cmp.Or(o.ResolvConf, "/etc/resolv.conf") }

// survey looks at the host, with what the checks want to know.
func (o Options) survey(ctx context.Context, records libnetwork.Records, ports []survey.Port) (*survey.Report, error) {
	keys := wantedSysctls()
	for _, setting := range hostSettings(records) {
		if !slices.Contains(keys, setting.Key) {
			keys = append(keys, setting.Key)
		}
	}
	return survey.Take(ctx, survey.Options{
		HostNamespace: o.hostNamespace(), Bus: o.Bus,
		Folders: []string{o.dataDir(), o.execRoot()}, Sysctls: keys, Ports: ports,
	})
}

// Settings of the host that matter to containers.
const (
	keyForward4  = "net/ipv4/ip_forward"
	keyForward6  = "net/ipv6/conf/all/forwarding"
	keyRPFilter  = "net/ipv4/conf/all/rp_filter"
	keyThresh4   = "net/ipv4/neigh/default/gc_thresh3"
	keyThresh6   = "net/ipv6/neigh/default/gc_thresh3"
	keyEphemeral = "net/ipv4/ip_local_port_range"
	keyReserved  = "net/ipv4/ip_local_reserved_ports"
	keyBridged4  = "net/bridge/bridge-nf-call-iptables"
	keyBridged6  = "net/bridge/bridge-nf-call-ip6tables"
)

func wantedSysctls() []string {
	return []string{
		keyForward4, keyForward6, keyRPFilter, keyThresh4, keyThresh6, keyEphemeral, keyReserved, keyBridged4, keyBridged6,
		"net/ipv4/ip_nonlocal_bind", "net/ipv6/conf/all/disable_ipv6", "net/netfilter/nf_conntrack_max",
	}
}
