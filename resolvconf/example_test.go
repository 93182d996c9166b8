package resolvconf_test

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/resolvconf"
)

func ExampleFile_Internal() {
	file := resolvconf.Parse([]byte("nameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch example\n"))
	externals := file.Internal(netip.MustParseAddr("127.0.0.11"), 0)
	fmt.Println(externals)
	fmt.Printf("%s", file.Render("/etc/resolv.conf"))
	// Output:
	// [127.0.0.53 (from the host) 10.0.0.1]
	// # libnetwork: made from /etc/resolv.conf; if you change this file, it stays as you leave it
	// # libnetwork: 127.0.0.11 is the embedded resolver, which asks 127.0.0.53 (from the host), 10.0.0.1
	// # libnetwork: added option ndots:0
	// nameserver 127.0.0.11
	// search example
	// options ndots:0
	// # libnetwork: hash 6d2f02626fa8204f
}
