package iptables

import (
	"context"
	"fmt"
	"net/netip"
	"os/exec"
	"strings"

	"github.com/docker/libnetwork/cnm"
)

// Redirect leads what is sent within a namespace to a port of one of its own IPv4
// addresses to other ports there. So a server can be reached at a port that others may
// bind at all addresses.
type Redirect struct {
	// Variant says which iptables, as in [Options].
	Variant string
	// Chain is the name of the chain that has the rules.
	Chain   string
	Address netip.Addr
	Port    uint16
	// UDP and TCP are the ports where the server is.
	UDP, TCP uint16
}

// Apply makes the rules in the namespace of the calling thread, in place of those that
// there may be. It takes two processes.
func (r Redirect) Apply(ctx context.Context) error {
	p, err := find(familyOf(false), r.Variant)
	if err != nil {
		return cnm.E("redirect "+r.Address.String(), cnm.Unsupported, err)
	}
	saved, err := execute(ctx, "", (*exec.Cmd).Run, p.save, "-t", tableNAT)
	if err != nil {
		return err
	}
	script := fmt.Sprintf("*nat\n:%s - [0:0]\n", r.Chain)
	jump := "OUTPUT -j " + r.Chain
	if !strings.Contains(saved, "-A "+jump+"\n") {
		script += "-I " + jump + "\n"
	}
	for protocol, port := range map[string]uint16{"udp": r.UDP, "tcp": r.TCP} {
		script += fmt.Sprintf("-A %s -d %s/32 -p %s -m %s --dport %d -j DNAT --to-destination %s:%d\n",
			r.Chain, r.Address, protocol, protocol, r.Port, r.Address, port)
	}
	_, err = execute(ctx, script+"COMMIT\n", (*exec.Cmd).Run, p.restore, "--noflush", "--wait="+lockSeconds)
	return err
}
