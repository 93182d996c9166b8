package command

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
)

func (a *app) psCommand() *cobra.Command {
	v := sandboxView()
	v.columns = []column[api.Sandbox]{
		{"CONTAINER", func(s api.Sandbox, whole bool) string { return cut(s.ContainerID, whole) }},
		{"NETWORKS", func(s api.Sandbox, _ bool) string { return strings.Join(networksOf(s), " ") }},
		{"ADDRESSES", func(s api.Sandbox, _ bool) string {
			var out []string
			for _, e := range s.Endpoints {
				if addresses := addressesOf(e); addresses != "" {
					out = append(out, addresses)
				}
			}
			return strings.Join(out, " ")
		}},
		{"PORTS", func(s api.Sandbox, _ bool) string { return portsOf(s) }},
	}
	v.id = func(s api.Sandbox) string { return s.ContainerID }
	return a.sandboxes(&cobra.Command{
		Use: "ps", Short: "Show containers with their networks, addresses and ports",
		Example: "  dnet ps --filter network=web\n  dnet ps --format '{{.ContainerID}} {{range .Endpoints}}{{.Addresses}}{{end}}'",
	}, v)
}

// portsOf returns a container's ports, each once: those granted if it has endpoints, else
// those asked for.
func portsOf(s api.Sandbox) string {
	var out []string
	for _, e := range s.Endpoints {
		for _, p := range e.Ports {
			if text := arrow(p); !slices.Contains(out, text) {
				out = append(out, text)
			}
		}
	}
	if len(s.Endpoints) == 0 {
		for _, p := range s.Ports {
			out = append(out, arrow(p))
		}
	}
	return strings.Join(out, ", ")
}

// arrow returns a published port as HOST:PORT->PORT/PROTOCOL.
func arrow(p api.PortMapping) string {
	host := "*"
	if p.HostIP.IsValid() && !p.HostIP.IsUnspecified() {
		host = p.HostIP.String()
		if p.HostIP.Is6() {
			host = "[" + host + "]"
		}
	} else if p.HostIP == netip.IPv6Unspecified() {
		host = "[::]"
	} else if p.HostIP.IsValid() {
		host = p.HostIP.String()
	}
	protocol := p.Protocol
	if protocol == "" {
		protocol = "tcp"
	}
	return fmt.Sprintf("%s:%s->%s/%s", host, span(p.HostPort, p.HostPortEnd), span(p.ContainerPort, p.ContainerPortEnd), protocol)
}

func span(first, end uint16) string {
	switch {
	case first == 0:
		return "any"
	case end > first:
		return fmt.Sprintf("%d-%d", first, end)
	}
	return fmt.Sprint(first)
}
