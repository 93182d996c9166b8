package etchosts_test

import (
	"fmt"
	"net/netip"

	"github.com/docker/libnetwork/etchosts"
)

func ExampleUpdate() {
	address := netip.MustParseAddr("172.17.0.2")
	content, err := etchosts.Build(nil, []etchosts.Entry{{IP: address, Names: []string{"web"}}}, false)
	if err != nil {
		fmt.Println(err)
		return
	}
	content = append(content, "10.0.0.7\tprinter\n"...) // the user
	content, err = etchosts.Update(content, []etchosts.Entry{{IP: address.Next(), Names: []string{"web"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s", content)
	// Output:
	// 127.0.0.1	localhost
	// # libnetwork: begin: these lines follow the container's networks; what you change stays
	// 172.17.0.3	web
	// # libnetwork: end f8af457e
	// 10.0.0.7	printer
}
