package types_test

import (
	"errors"
	"fmt"
	"net"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/types"
)

func ExamplePortBinding() {
	binding := types.PortBinding{
		Proto:    types.TCP,
		Port:     80,
		HostIP:   net.ParseIP("192.0.2.1"),
		HostPort: 8080,
	}
	fmt.Println(&binding)
	host, err := binding.HostAddr()
	fmt.Println(host.Network(), host, err)
	// Output:
	// tcp/:80/192.0.2.1:8080
	// tcp 192.0.2.1:8080 <nil>
}

func ExamplePortBinding_FromString() {
	var binding types.PortBinding
	fmt.Println(binding.FromString("udp/172.17.0.2:53/[2001:db8::1]:5300-5310"))
	fmt.Println(binding.Proto, binding.Port, binding.HostIP, binding.HostPort, binding.HostPortEnd)
	fmt.Println(binding.FromString("udp/53"))
	// Output:
	// <nil>
	// udp 53 2001:db8::1 5300 5310
	// port binding "udp/53": not of the form "tcp/172.17.0.2:80/192.0.2.1:8080"
}

func ExampleNotFoundErrorf() {
	err := types.NotFoundErrorf("network %q: not found", "web")
	_, ok := err.(types.NotFoundError)
	fmt.Println(err, ok, errors.Is(err, cnm.NotFound))
	// Output: network "web": not found true true
}
