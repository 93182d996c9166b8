package libnetwork_test

import (
	"fmt"
	"log"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/netlabel"
	"github.com/docker/libnetwork/options"
)

// The program of the README. The sandbox's identity and MAC address differ each
// time, so the example says only what it got.
func Example() {
	networkType := "bridge"
	driverOptions := options.Generic{}
	genericOption := make(map[string]interface{})
	genericOption[netlabel.GenericData] = driverOptions
	controller, err := libnetwork.New(config.OptionDriverConfig(networkType, genericOption))
	if err != nil {
		log.Fatalf("libnetwork.New: %s", err)
	}
	defer controller.Stop()

	network, err := controller.NewNetwork(networkType, "network1", "")
	if err != nil {
		log.Fatalf("controller.NewNetwork: %s", err)
	}
	ep, err := network.CreateEndpoint("Endpoint1")
	if err != nil {
		log.Fatalf("network.CreateEndpoint: %s", err)
	}
	sbx, err := controller.NewSandbox("container1",
		libnetwork.OptionHostname("test"),
		libnetwork.OptionDomainname("docker.io"))
	if err != nil {
		log.Fatalf("controller.NewSandbox: %s", err)
	}
	if err := ep.Join(sbx); err != nil {
		log.Fatalf("ep.Join: %s", err)
	}
	epInfo, err := ep.DriverInfo()
	if err != nil {
		log.Fatalf("ep.DriverInfo: %s", err)
	}
	macAddress, ok := epInfo[netlabel.MacAddress]
	if !ok {
		log.Fatal("the endpoint has no MAC address")
	}
	log.Printf("Joined endpoint %s (%s) to sandbox %s (%s)", ep.Name(), macAddress, sbx.ContainerID(), sbx.Key())

	fmt.Println(ep.Name(), sbx.ContainerID(), "MAC", macAddress != nil, "key", sbx.Key() != "")
	if err := sbx.Delete(); err != nil {
		log.Fatal(err)
	}
	if err := network.Delete(); err != nil {
		log.Fatal(err)
	}
	// Output: Endpoint1 container1 MAC true key true
}
