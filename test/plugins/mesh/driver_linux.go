package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/docker/go-plugins-helpers/network"
	"github.com/vishvananda/netlink"
)

// driver makes bridges and pairs of links.
type driver struct {
	mu sync.Mutex // guards what follows
	// published says, by endpoint, which ports it was told of.
	published map[string]string
}

func newDriver() *driver { return &driver{published: make(map[string]string)} }

// Names of links. Ids begin with 10 digits that differ.
const digits = 10

func bridgeOf(networkID string) string  { return "mb" + networkID[:digits] }
func hostEnd(endpointID string) string  { return "mh" + endpointID[:digits] }
func otherEnd(endpointID string) string { return "mc" + endpointID[:digits] }

func checkID(id string) error {
	if len(id) < digits || strings.ContainsAny(id, "/ ") {
		return fmt.Errorf("%q is no id", id)
	}
	return nil
}

// GetCapabilities implements network.Driver.
func (d *driver) GetCapabilities() (*network.CapabilitiesResponse, error) {
	return &network.CapabilitiesResponse{Scope: network.LocalScope, ConnectivityScope: network.LocalScope}, nil
}

// CreateNetwork implements network.Driver: a bridge with the gateways.
func (d *driver) CreateNetwork(r *network.CreateNetworkRequest) error {
	if err := checkID(r.NetworkID); err != nil {
		return err
	}
	if generic, ok := r.Options["com.docker.network.generic"].(map[string]any); ok && generic["mesh.refuse"] != nil {
		return fmt.Errorf("mesh.refuse is %v", generic["mesh.refuse"])
	}
	bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeOf(r.NetworkID)}}
	if err := netlink.LinkAdd(bridge); err != nil {
		return err
	}
	err := netlink.LinkSetUp(bridge)
	for _, data := range append(r.IPv4Data, r.IPv6Data...) {
		if err == nil && data.Gateway != "" {
			err = addAddress(bridge, data.Gateway)
		}
	}
	if err != nil {
		return errors.Join(err, netlink.LinkDel(bridge))
	}
	return nil
}

func addAddress(link netlink.Link, text string) error {
	address, err := netlink.ParseAddr(text)
	if err != nil {
		return err
	}
	if address.IP.To4() == nil {
		address.Flags = noDAD
	}
	return netlink.AddrAdd(link, address)
}

// noDAD is IFA_F_NODAD of linux/if_addr.h: the address is used at once.
const noDAD = 0x02

// DeleteNetwork implements network.Driver.
func (d *driver) DeleteNetwork(r *network.DeleteNetworkRequest) error {
	if err := checkID(r.NetworkID); err != nil {
		return err
	}
	return deleteLink(bridgeOf(r.NetworkID))
}

// deleteLink tolerates one that is gone.
func deleteLink(name string) error {
	link, err := netlink.LinkByName(name)
	if errors.As(err, new(netlink.LinkNotFoundError)) {
		return nil
	}
	if err != nil {
		return err
	}
	return netlink.LinkDel(link)
}

// AllocateNetwork and FreeNetwork implement network.Driver: networks are local.
func (d *driver) AllocateNetwork(*network.AllocateNetworkRequest) (*network.AllocateNetworkResponse, error) {
	return nil, errors.New("networks are local")
}

// FreeNetwork implements network.Driver.
func (d *driver) FreeNetwork(*network.FreeNetworkRequest) error {
	return errors.New("networks are local")
}

// CreateEndpoint implements network.Driver: it makes the pair, and chooses the MAC address
// of one that has none.
func (d *driver) CreateEndpoint(r *network.CreateEndpointRequest) (*network.CreateEndpointResponse, error) {
	if err := errors.Join(checkID(r.NetworkID), checkID(r.EndpointID)); err != nil {
		return nil, err
	}
	bridge, err := netlink.LinkByName(bridgeOf(r.NetworkID))
	if err != nil {
		return nil, err
	}
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: hostEnd(r.EndpointID), MasterIndex: bridge.Attrs().Index}, PeerName: otherEnd(r.EndpointID)}
	chosen := &network.EndpointInterface{}
	if r.Interface == nil || r.Interface.MacAddress == "" {
		pair.PeerHardwareAddr = net.HardwareAddr{0x02, 'm', 'e', r.EndpointID[0], r.EndpointID[1], r.EndpointID[2]}
		chosen.MacAddress = pair.PeerHardwareAddr.String()
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return nil, err
	}
	if err := netlink.LinkSetUp(pair); err != nil {
		return nil, errors.Join(err, netlink.LinkDel(pair))
	}
	return &network.CreateEndpointResponse{Interface: chosen}, nil
}

// DeleteEndpoint implements network.Driver.
func (d *driver) DeleteEndpoint(r *network.DeleteEndpointRequest) error {
	if err := checkID(r.EndpointID); err != nil {
		return err
	}
	return deleteLink(hostEnd(r.EndpointID))
}

// EndpointInfo implements network.Driver.
func (d *driver) EndpointInfo(r *network.InfoRequest) (*network.InfoResponse, error) {
	if err := checkID(r.EndpointID); err != nil {
		return nil, err
	}
	if _, err := netlink.LinkByName(hostEnd(r.EndpointID)); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return &network.InfoResponse{Value: map[string]string{"mesh.link": hostEnd(r.EndpointID), "mesh.published": d.published[r.EndpointID]}}, nil
}

// Join implements network.Driver: it hands the other end over, with the bridge as gateway.
func (d *driver) Join(r *network.JoinRequest) (*network.JoinResponse, error) {
	if err := errors.Join(checkID(r.NetworkID), checkID(r.EndpointID)); err != nil {
		return nil, err
	}
	if _, err := netlink.LinkByName(otherEnd(r.EndpointID)); err != nil {
		return nil, err
	}
	bridge, err := netlink.LinkByName(bridgeOf(r.NetworkID))
	if err != nil {
		return nil, err
	}
	addresses, err := netlink.AddrList(bridge, netlink.FAMILY_ALL)
	if err != nil {
		return nil, err
	}
	joined := &network.JoinResponse{InterfaceName: network.InterfaceName{SrcName: otherEnd(r.EndpointID), DstPrefix: "eth"}}
	for _, a := range addresses {
		switch {
		case a.IP.IsLinkLocalUnicast():
		case a.IP.To4() != nil:
			joined.Gateway = a.IP.String()
			// A network that is behind the gateway, as an overlay would have.
			joined.StaticRoutes = []*network.StaticRoute{{Destination: "203.0.113.0/24", RouteType: 0, NextHop: joined.Gateway}}
		default:
			joined.GatewayIPv6 = a.IP.String()
		}
	}
	return joined, nil
}

// Leave implements network.Driver: the link must be back.
func (d *driver) Leave(r *network.LeaveRequest) error {
	if err := checkID(r.EndpointID); err != nil {
		return err
	}
	if _, err := netlink.LinkByName(hostEnd(r.EndpointID)); err != nil {
		return fmt.Errorf("endpoint %s: %w", r.EndpointID[:digits], err)
	}
	return nil
}

// DiscoverNew implements network.Driver.
func (d *driver) DiscoverNew(*network.DiscoveryNotification) error { return nil }

// DiscoverDelete implements network.Driver.
func (d *driver) DiscoverDelete(*network.DiscoveryNotification) error { return nil }

// ProgramExternalConnectivity implements network.Driver: it only notes what it is told.
func (d *driver) ProgramExternalConnectivity(r *network.ProgramExternalConnectivityRequest) error {
	ports, _ := r.Options["com.docker.network.portmap"].([]any)
	var texts []string
	for _, p := range ports {
		port, _ := p.(map[string]any)
		texts = append(texts, fmt.Sprintf("%v:%v/%v", port["HostPort"], port["Port"], port["Proto"]))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.published[r.EndpointID] = strings.Join(texts, ",")
	return nil
}

// RevokeExternalConnectivity implements network.Driver.
func (d *driver) RevokeExternalConnectivity(r *network.RevokeExternalConnectivityRequest) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.published, r.EndpointID)
	return nil
}
