// Command proxy relays one port of the host to a container, as a process of its own.
//
// The library does not need it: its proxies are goroutines. It is for programs that start
// a proxy by its name and flags.
//
// When it listens it writes "0\n" to file descriptor 3, if there is one; when it cannot,
// "1\n" and the reason. It ends on SIGINT and SIGTERM.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"github.com/docker/libnetwork/portmap/proxy"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The parent's pipe; writing to one that is not there fails, and nobody misses it.
	report := os.NewFile(3, "report")
	os.Exit(run(ctx, os.Args[1:], os.Stderr, report))
}

// run returns the exit status.
func run(ctx context.Context, args []string, errOut io.Writer, report io.WriteCloser) int {
	listener, target, err := start(args, errOut)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		_, _ = fmt.Fprintf(errOut, "proxy: %v\n", err)
		_, _ = fmt.Fprintf(report, "1\n%v", err)
		_ = report.Close()
		return 1
	}
	p := proxy.Start(listener, target, proxy.Options{})
	_, _ = fmt.Fprint(report, "0\n")
	_ = report.Close()
	<-ctx.Done()
	_ = p.Close()
	return 0
}

// start reads the flags and listens.
func start(args []string, errOut io.Writer) (proxy.Listener, netip.AddrPort, error) {
	flags := flag.NewFlagSet("proxy", flag.ContinueOnError)
	flags.SetOutput(errOut)
	protocol := flags.String("proto", "tcp", "`protocol` to relay: tcp or udp")
	hostIP := flags.String("host-ip", "", "`address` of the host to listen on; empty for all, of IPv4 and IPv6")
	hostPort := flags.Uint("host-port", 0, "`port` of the host to listen on, 1 to 65535")
	containerIP := flags.String("container-ip", "", "`address` of the container")
	containerPort := flags.Uint("container-port", 0, "`port` of the container, 1 to 65535")
	flags.Usage = func() {
		_, _ = fmt.Fprint(errOut, "Usage: proxy -proto tcp -host-ip 0.0.0.0 -host-port 8080 -container-ip 172.17.0.2 -container-port 80\n\n"+
			"Relays a port of the host to a container until it is interrupted.\n\n")
		flags.PrintDefaults()
	}
	none := func(err error) (proxy.Listener, netip.AddrPort, error) {
		return proxy.Listener{}, netip.AddrPort{}, err
	}
	if err := flags.Parse(args); err != nil {
		return none(err)
	}
	if flags.NArg() > 0 {
		return none(fmt.Errorf("argument %q: want flags only, see -help", flags.Arg(0)))
	}
	container, err := netip.ParseAddr(*containerIP)
	if err != nil {
		return none(fmt.Errorf("flag -container-ip %q: want an IP address", *containerIP))
	}
	var host netip.Addr
	if *hostIP != "" {
		if host, err = netip.ParseAddr(*hostIP); err != nil {
			return none(fmt.Errorf("flag -host-ip %q: want an IP address, or nothing for all", *hostIP))
		}
	}
	for name, port := range map[string]uint{"host-port": *hostPort, "container-port": *containerPort} {
		if port == 0 || port > 65535 {
			return none(fmt.Errorf("flag -%s %d: want a port from 1 to 65535", name, port))
		}
	}
	l, err := listen(*protocol, netip.AddrPortFrom(host, uint16(*hostPort)))
	return l, netip.AddrPortFrom(container, uint16(*containerPort)), err
}

func listen(protocol string, at netip.AddrPort) (proxy.Listener, error) {
	// Without it an address of all of IPv4 would stand for those of IPv6 as well.
	version := ""
	switch {
	case at.Addr().Is4():
		version = "4"
	case at.Addr().Is6():
		version = "6"
	}
	switch protocol {
	case "tcp":
		l, err := net.ListenTCP("tcp"+version, net.TCPAddrFromAddrPort(at))
		return proxy.Listener{TCP: l}, err
	case "udp":
		c, err := net.ListenUDP("udp"+version, net.UDPAddrFromAddrPort(at))
		return proxy.Listener{UDP: c}, err
	case "sctp":
		return proxy.Listener{}, errors.New("flag -proto sctp: not relayed here; SCTP ports are for the packet filter")
	}
	return proxy.Listener{}, fmt.Errorf("flag -proto %q: want tcp or udp", protocol)
}
