package libnetwork

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"strconv"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netlabel"
)

// NetworkOption changes how NewNetwork makes a network.
type NetworkOption func(n *networkSpec)

// networkSpec gathers options: the record to be, and what was wrong with them.
type networkSpec struct {
	record cnm.Network
	errs   []error
}

func (n *networkSpec) fail(err error) { n.errs = append(n.errs, err) }

func (n *networkSpec) setOption(key, value string) {
	if n.record.Options == nil {
		n.record.Options = make(map[string]string)
	}
	if old, ok := n.record.Options[key]; ok && old != value {
		n.fail(invalid("option %q: given as %q and as %q", key, old, value))
		return
	}
	n.record.Options[key] = value
}

// NetworkOptionGeneric gives labels. Those that concern every driver, such as
// netlabel.EnableIPv6, may stand beside netlabel.GenericData, whose value is the
// driver's own options: a map, with values that are text or have a plain text form.
func NetworkOptionGeneric(generic map[string]interface{}) NetworkOption {
	generic = maps.Clone(generic)
	return func(n *networkSpec) {
		for key, value := range generic {
			switch key {
			case netlabel.GenericData:
				n.driverOptions(value)
			case netlabel.EnableIPv6:
				n.flag(key, value, &n.record.EnableIPv6)
			case netlabel.EnableIPv4:
				n.flag(key, value, &n.record.EnableIPv4)
			case netlabel.Internal:
				n.flag(key, value, &n.record.Internal)
			default:
				n.option(key, value)
			}
		}
	}
}

// NetworkOptionScope makes the network one of this host ("local") or of all hosts that
// share a store ("global"); without it the driver decides. Networks of some drivers can be
// either: containers of several hosts are on one segment by the parents of their links.
func NetworkOptionScope(scope string) NetworkOption {
	return func(n *networkSpec) {
		switch cnm.Scope(scope) {
		case "", cnm.Local, cnm.Global:
			n.record.Scope = cnm.Scope(scope)
		default:
			n.fail(invalid("scope %q: want %q or %q", scope, cnm.Local, cnm.Global))
		}
	}
}

func (n *networkSpec) driverOptions(value any) {
	options, err := optionMap(value)
	if err != nil {
		n.fail(fmt.Errorf("option %q: %w", netlabel.GenericData, err))
		return
	}
	for key, value := range options {
		// 2017's drivers took these two among their own options as well.
		switch key {
		case "EnableIPv6", netlabel.EnableIPv6:
			n.flag(key, value, &n.record.EnableIPv6)
		case netlabel.EnableIPv4:
			n.flag(key, value, &n.record.EnableIPv4)
		case "Internal", netlabel.Internal:
			n.flag(key, value, &n.record.Internal)
		default:
			n.option(key, value)
		}
	}
}

func (n *networkSpec) option(key string, value any) {
	text, err := optionText(value)
	if err != nil {
		n.fail(fmt.Errorf("option %q: %w", key, err))
		return
	}
	n.setOption(key, text)
}

func (n *networkSpec) flag(key string, value any, to *bool) {
	text, err := optionText(value)
	if err == nil {
		*to, err = strconv.ParseBool(text)
	}
	if err != nil {
		n.fail(invalid("option %q: value %v: want true or false", key, value))
	}
}

// NetworkOptionDriverOpts gives the driver's own options as text.
func NetworkOptionDriverOpts(opts map[string]string) NetworkOption {
	opts = maps.Clone(opts)
	return func(n *networkSpec) { n.driverOptions(opts) }
}

// NetworkOptionLabels gives labels of the user's, which nothing here interprets.
func NetworkOptionLabels(labels map[string]string) NetworkOption {
	labels = maps.Clone(labels)
	return func(n *networkSpec) { n.record.Labels = labels }
}

// NetworkOptionIpam chooses the address manager, by name, with its address space,
// pools and options. Empty names mean the defaults.
func NetworkOptionIpam(ipamDriver string, addrSpace string, ipV4 []*IpamConf, ipV6 []*IpamConf, opts map[string]string) NetworkOption {
	opts = maps.Clone(opts)
	return func(n *networkSpec) {
		n.record.IPAM.Driver = ipamDriver
		n.record.IPAM.AddressSpace = addrSpace
		n.record.IPAM.Options = opts
		n.record.IPAM.IPv4 = n.pools(ipV4, false)
		n.record.IPAM.IPv6 = n.pools(ipV6, true)
	}
}

func (n *networkSpec) pools(confs []*IpamConf, ipv6 bool) []cnm.PoolConfig {
	var pools []cnm.PoolConfig
	for _, conf := range confs {
		if conf == nil {
			n.fail(invalid("address configuration: is nil"))
			continue
		}
		pool, err := conf.parse()
		if err == nil && pool.Pool.IsValid() && pool.Pool.Addr().Is4() == ipv6 {
			err = invalid("subnet %q: is of the other address family", conf.PreferredPool)
		}
		if err != nil {
			n.fail(err)
			continue
		}
		pools = append(pools, pool)
	}
	return pools
}

// NetworkOptionEnableIPv6 gives the network's endpoints IPv6 addresses.
func NetworkOptionEnableIPv6(enableIPv6 bool) NetworkOption {
	return func(n *networkSpec) { n.record.EnableIPv6 = enableIPv6 }
}

// NetworkOptionEnableIPv4 tells whether the network's endpoints have IPv4
// addresses; they do unless told otherwise.
func NetworkOptionEnableIPv4(enableIPv4 bool) NetworkOption {
	return func(n *networkSpec) { n.record.EnableIPv4 = enableIPv4 }
}

// NetworkOptionDNS adds a name server, by its IP address, which the network's containers
// ask unless they, or their endpoints, were given others. An internal network's ask none.
func NetworkOptionDNS(dns string) NetworkOption {
	return func(n *networkSpec) {
		if _, err := netip.ParseAddr(dns); err != nil {
			n.fail(invalid("name server %q: is not an IP address", dns))
		}
		n.record.DNS = append(n.record.DNS, dns)
	}
}

// NetworkOptionInternalNetwork gives the network's endpoints no default route.
func NetworkOptionInternalNetwork() NetworkOption {
	return func(n *networkSpec) { n.record.Internal = true }
}

// NetworkOptionAttachable marks the network as one that single containers may use;
// it is recorded for the cluster's manager.
func NetworkOptionAttachable(attachable bool) NetworkOption {
	return func(n *networkSpec) { n.record.Attachable = attachable }
}

// NetworkOptionIngress marks the network as the cluster's ingress network, which
// this version does not have.
func NetworkOptionIngress(ingress bool) NetworkOption {
	return func(n *networkSpec) {
		n.record.Ingress = ingress
		if ingress {
			n.fail(unsupported("ingress networks belong to clusters, which this version does not have"))
		}
	}
}

// NetworkOptionDynamic marks the network as one that the cluster made on demand.
func NetworkOptionDynamic() NetworkOption {
	return func(n *networkSpec) { n.record.Dynamic = true }
}

// NetworkOptionPersist with false asks that the network be forgotten when the
// controller stops, which this version does not do: every network is recorded.
func NetworkOptionPersist(persist bool) NetworkOption {
	return func(n *networkSpec) {
		if !persist {
			n.fail(unsupported("networks that are not recorded: the kernel could not be cleaned after a crash"))
		}
	}
}

// NetworkOptionDeferIPv6Alloc with true left the IPv6 addresses of endpoints to the
// driver, which no driver of this version does.
func NetworkOptionDeferIPv6Alloc(enable bool) NetworkOption {
	return func(n *networkSpec) {
		if enable {
			n.fail(unsupported("deferred allocation of IPv6 addresses"))
		}
	}
}

func unsupported(what string) error { return cnm.E("", cnm.Unsupported, errors.New(what)) }
