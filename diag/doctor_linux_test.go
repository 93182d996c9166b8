package diag_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/types"
)

// sh runs a shell script in a namespace.
func sh(t testing.TB, namespace, script string) {
	t.Helper()
	check(t, kerneltest.Do(namespace, func() error {
		command := exec.Command("sh", "-ec", script)
		out, err := command.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}))
}

// patient is a machine with a network, a container and a published port, on which all is
// well.
type patient struct {
	*machine
	lan     *kerneltest.Lan
	network libnetwork.Network
	sandbox libnetwork.Sandbox
}

func newPatient(t *testing.T, more ...config.Option) *patient {
	t.Helper()
	lan := kerneltest.NewLan(t)
	p := &patient{machine: newMachine(t, lan.Host, more...), lan: lan}
	lan.Route(t, "", "0.0.0.0/0", kerneltest.NeighborIPv4, kerneltest.LanLink)
	p.network = p.machine.network(t, "web", libnetwork.NetworkOptionEnableIPv6(true))
	p.sandbox, _ = p.attach(t, p.network, "web", binding(types.TCP, "", portWeb, portPublished), binding(types.UDP, "", portWeb, portPublished))
	p.resolvConf(t, "nameserver 192.0.2.53\n")
	// The machine around has a mark of its own, and may have the module br_netfilter.
	sh(t, p.host, "ip link set lan0 alias ''; for f in /proc/sys/net/bridge/bridge-nf-call-ip*tables; do [ ! -e $f ] || echo 0 > $f; done")
	return p
}

func (p *patient) resolvConf(t testing.TB, text string) {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(p.run, "resolv.conf"), []byte(text), 0o644))
}

func (p *patient) bridge() string { return "br-" + p.network.ID()[:12] }

// examine returns what Doctor finds, by check.
func (p *patient) examine(t testing.TB) map[string][]api.Finding {
	t.Helper()
	found := make(map[string][]api.Finding)
	for _, f := range must[[]api.Finding](t)(diag.Doctor(t.Context(), p.options())) {
		found[f.Check] = append(found[f.Check], f)
	}
	return found
}

// trouble is something bad that is done to a patient.
type trouble struct {
	check, level string
	// words must be in the message.
	words string
	do    func(*testing.T, *patient)
}

func troubles() []trouble {
	inHost := func(script string) func(*testing.T, *patient) {
		return func(t *testing.T, p *patient) { t.Helper(); sh(t, p.host, script) }
	}
	return []trouble{
		{"ip-forwarding", "error", "IPv4", inHost("echo 0 > /proc/sys/net/ipv4/ip_forward")},
		{"ip-forwarding", "error", "IPv6", inHost("echo 0 > /proc/sys/net/ipv6/conf/all/forwarding")},
		{"rp-filter", "info", "rp_filter", inHost("echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter")},
		{"settings", "warning", "route_localnet", func(t *testing.T, p *patient) {
			t.Helper()
			sh(t, p.host, "echo 0 > /proc/sys/net/ipv4/conf/"+p.bridge()+"/route_localnet")
		}},
		{"foreign-chains", "warning", `"ours-not"`, inHost("nft 'table inet operator { chain ours-not { type filter hook forward priority 0; policy drop; }; }'")},
		{"foreign-chains", "warning", "reject", inHost("nft 'table inet operator { chain last { type filter hook forward priority 0; tcp dport 1 accept; counter reject; }; }'")},
		{"foreign-chains", "info", "for the host itself", inHost("nft 'table ip operator { chain in { type filter hook input priority 0; policy drop; }; }'")},
		{"foreign-chains", "warning", "FORWARD", inHost("iptables-legacy -P FORWARD DROP")},
		{"other-firewalls", "info", "ufw", inHost("iptables -N ufw-before-forward")},
		{"other-firewalls", "info", "docker", inHost("iptables-legacy -N DOCKER")},
		{"other-firewalls", "info", "has 1 rules", inHost("iptables -N DOCKER-USER; iptables -A DOCKER-USER -s 192.0.2.9 -j DROP; iptables -A DOCKER-USER -j RETURN")},
		{"records", "warning", "sandbox", func(t *testing.T, p *patient) {
			t.Helper()
			sh(t, p.sandbox.Key(), "ip link set eth0 down")
		}},
		{"records", "warning", "stray", func(t *testing.T, p *patient) {
			t.Helper()
			sh(t, p.host, fmt.Sprintf("ip link add stray type bridge; ip link set stray alias 'libnetwork %s network/gone'", p.controller.ID()[:12]))
		}},
		{"records", "warning", "netns", func(t *testing.T, p *patient) {
			t.Helper()
			path := filepath.Join(p.run, "netns", filepath.Base(p.sandbox.Key())[:7]+"0123456789ab")
			sh(t, p.host, fmt.Sprintf("touch %s; mount --bind %s %s", path, p.sandbox.Key(), path))
		}},
		{"records", "warning", "sandboxes", func(t *testing.T, p *patient) {
			t.Helper()
			check(t, os.MkdirAll(filepath.Join(p.run, "sandboxes", p.controller.ID()[:12], "stale"), 0o755))
		}},
		{"other-controllers", "info", "deadbeef0123", inHost("ip link add other type bridge; ip link set other alias 'libnetwork deadbeef0123 network/x'")},
		{"subnets", "error", `link "foreign"`, func(t *testing.T, p *patient) {
			t.Helper()
			sh(t, p.host, "ip link add foreign type bridge; ip addr add "+p.pool().Addr().Next().Next().Next().String()+"/24 dev foreign; ip link set foreign up")
		}},
		{"subnets", "error", "a route", func(t *testing.T, p *patient) {
			t.Helper()
			sh(t, p.host, "ip route add "+p.pool().Addr().String()+"/20 via "+kerneltest.NeighborIPv4)
		}},
		{"published-ports", "error", "nobody holds it", func(t *testing.T, p *patient) {
			t.Helper()
			p.stopped(t)
		}},
		{"published-ports", "warning", "a program of the host", func(t *testing.T, p *patient) {
			t.Helper()
			p.stopped(t)
			t.Cleanup(must[func()](t)(kerneltest.StartServer(p.host, "program", "0.0.0.0:8080")))
		}},
		{"ephemeral-ports", "warning", "40000-40999", func(t *testing.T, p *patient) {
			t.Helper()
			var ports []types.PortBinding
			for port := uint16(40000); port < 41000; port++ {
				ports = append(ports, binding(types.TCP, "", port, port))
			}
			p.attach(t, p.network, "range", ports...)
		}},
		{"bridge-ports", "warning", "ports of 1023", func(t *testing.T, p *patient) {
			t.Helper()
			var batch strings.Builder
			for i := range 470 {
				fmt.Fprintf(&batch, "link add a%d master %s type veth peer name b%d\nlink set b%d master %s\n", i, p.bridge(), i, i, p.bridge())
			}
			file := filepath.Join(t.TempDir(), "batch")
			check(t, os.WriteFile(file, []byte(batch.String()), 0o600))
			sh(t, p.host, "ip -batch "+file)
		}},
		{"mtu", "warning", "only 1400", inHost("ip link set lan0 mtu 1400")},
		{"resolv-conf", "warning", "no name server", func(t *testing.T, p *patient) { t.Helper(); p.resolvConf(t, "search example.org\n") }},
		{"resolv-conf", "error", "127.0.0.53", func(t *testing.T, p *patient) { t.Helper(); p.resolvConf(t, "nameserver 127.0.0.53\nnameserver ::1\n") }},
		{"data-dir", "error", "mode", func(t *testing.T, p *patient) { t.Helper(); check(t, os.Chmod(p.data, 0o777)) }},
	}
}

func (p *patient) pool() netip.Prefix {
	for _, ep := range p.network.Endpoints() {
		return prefixes(ep)[0].Masked()
	}
	return netip.Prefix{}
}

// stopped puts in the place of the controller what it told before it stopped.
func (p *patient) stopped(t *testing.T) {
	t.Helper()
	inspector := p.controller.(libnetwork.Inspector)
	p.inspector = &frozen{Inspector: inspector, records: inspector.Records(), statistics: inspector.Statistics()}
	p.controller.Stop()
}

// frozen tells what a controller told.
type frozen struct {
	libnetwork.Inspector
	records    libnetwork.Records
	statistics libnetwork.Statistics
}

func (f *frozen) Records() libnetwork.Records       { return f.records }
func (f *frozen) Statistics() libnetwork.Statistics { return f.statistics }

func has(findings []api.Finding, level, words string) bool {
	return slices.ContainsFunc(findings, func(f api.Finding) bool { return f.Level == level && strings.Contains(f.Message, words) })
}

// TestDoctorFindsWhatIsWrong does something to a host that is well, and wants the one check
// to say so.
func TestDoctorFindsWhatIsWrong(t *testing.T) {
	kerneltest.RequireRoot(t)
	for _, c := range troubles() {
		t.Run(c.check+" "+c.words, func(t *testing.T) {
			p := newPatient(t)
			if before := p.examine(t)[c.check]; len(before) != 1 || before[0].Level != api.LevelOK {
				t.Errorf("before: %+v, want it to be ok", before)
			}
			c.do(t, p)
			found := p.examine(t)
			if !has(found[c.check], c.level, c.words) {
				t.Errorf("found %+v, want level %s and the words %q", found[c.check], c.level, c.words)
			}
			for _, f := range found[c.check] {
				if f.Fix == "" && f.Level != api.LevelInfo {
					t.Errorf("%+v: says not what to do", f)
				}
			}
		})
	}
}

func TestDoctorOnAHealthyHost(t *testing.T) {
	p := newPatient(t)
	// A name server on the loopback is fine if it runs.
	t.Cleanup(must[func()](t)(kerneltest.StartServer(p.host, "dns", "127.0.0.53:53")))
	p.resolvConf(t, "nameserver 127.0.0.53\n")
	for name, findings := range p.examine(t) {
		for _, f := range findings {
			// What the kernel lacks is the kernel's, and not the host's health.
			if f.Level != api.LevelOK && name != "features" {
				t.Errorf("%s: %+v", name, f)
			}
		}
	}
}

// TestDoctorNamesWhatTheKernelLacks: each feature that is absent, with its module.
func TestDoctorNamesWhatTheKernelLacks(t *testing.T) {
	p := newPatient(t)
	found := p.examine(t)["features"]
	features, err := kernel.Features(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	absent := 0
	for _, f := range features {
		if !f.Present {
			if absent++; !has(found, api.LevelInfo, f.Config+", module "+f.Module) {
				t.Errorf("%s is absent, and the doctor says %+v", f.Feature, found)
			}
		}
	}
	if absent == 0 && !has(found, api.LevelOK, "") {
		t.Errorf("nothing is absent, and the doctor says %+v", found)
	}
}

func TestDoctorLooksAtTheDisk(t *testing.T) {
	kerneltest.RequireRoot(t)
	lan := kerneltest.NewLan(t)
	for size, level := range map[int]string{3 << 20: api.LevelError, 32 << 20: api.LevelWarning} {
		m := newMachine(t, lan.Host)
		folder := kerneltest.SmallFolder(t, size)
		m.controller.Stop()
		m.data = folder
		m.controller = m.open(t)
		p := &patient{machine: m}
		found := p.examine(t)
		if !has(found["disk"], level, folder) {
			t.Errorf("%d bytes: %+v, want level %s", size, found["disk"], level)
		}
		if !has(found["data-dir"], api.LevelWarning, "in memory") {
			t.Errorf("on tmpfs: %+v", found["data-dir"])
		}
		m.controller.Stop()
	}
}

func TestDoctorWithoutFilter(t *testing.T) {
	kerneltest.RequireRoot(t)
	p := &patient{machine: newMachine(t, kerneltest.NewNamespace(t), config.OptionFirewallBackend(config.FirewallNone))}
	if found := p.examine(t)["firewall"]; !has(found, api.LevelWarning, "nothing is filtered") {
		t.Errorf("%+v", found)
	}
}
