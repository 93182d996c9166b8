package options_test

import (
	"fmt"

	"github.com/docker/libnetwork/options"
)

func ExampleGenerateFromModel() {
	type bridge struct {
		BridgeName string
		Mtu        int
	}
	given := options.Generic{"BridgeName": "br0", "Mtu": 1400}
	result, err := options.GenerateFromModel(given, &bridge{})
	fmt.Println(result.(*bridge).BridgeName, result.(*bridge).Mtu, err)

	_, err = options.GenerateFromModel(options.Generic{"Mtu": "1400"}, &bridge{})
	fmt.Println(err)
	// Output:
	// br0 1400 <nil>
	// option "Mtu": is of type "string", must be "int"
}
