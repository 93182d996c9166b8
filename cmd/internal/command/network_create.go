package command

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

// networkFlags are those of network create.
type networkFlags struct {
	driver, id                string
	options, labels           []string
	internal, ipv4, ipv6      bool
	ipv6Given                 bool
	subnets, ranges, gateways []string
	auxiliary                 []string
	ipamDriver, addressSpace  string
	ipamOptions               []string
	attachable                bool
	scope                     string
	dns                       []string
}

func (a *app) networkCreateCommand() *cobra.Command {
	var f networkFlags
	cmd := &cobra.Command{
		Use: "create NETWORK", Short: "Make a network and print its id",
		Example: `  dnet network create web
  dnet network create --subnet 172.30.0.0/24 --gateway 172.30.0.254 --label owner=ci db
  dnet network create --ipv6 --subnet 10.9.0.0/16 --subnet fd00:9::/64 both
  dnet network create -o com.docker.network.driver.mtu=9000 big`,
		Args: exactly("NETWORK"), ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVarP(&f.driver, "driver", "d", "", "`driver` of the network (default: the daemon's)")
	flags.StringVar(&f.id, "id", "", "`id` of the network (default: the daemon chooses)")
	flags.StringArrayVarP(&f.options, "opt", "o", nil, "`key=value` for the driver, several divided by commas; repeatable")
	flags.StringArrayVar(&f.labels, "label", nil, "`key=value` to find the network by; repeatable")
	flags.BoolVar(&f.internal, "internal", false, "without a way out of the network")
	flags.BoolVar(&f.ipv4, "ipv4", true, "with IPv4 addresses")
	flags.BoolVar(&f.ipv6, "ipv6", false, "with IPv6 addresses")
	flags.StringArrayVar(&f.subnets, "subnet", nil, "`subnet` in CIDR form; repeatable (default: the daemon chooses)")
	flags.StringArrayVar(&f.ranges, "ip-range", nil, "part of a subnet that automatic addresses come from, as a `subnet`; one for each subnet")
	flags.StringArrayVar(&f.gateways, "gateway", nil, "`address` of the gateway; one for each subnet")
	flags.StringArrayVar(&f.auxiliary, "aux-address", nil, "`name=address` in a subnet that is not to be given away; repeatable")
	flags.StringVar(&f.ipamDriver, "ipam-driver", "", "`driver` of addresses (default: the built-in one)")
	flags.StringVar(&f.addressSpace, "address-space", "", "`name` of the address space (default: the address driver's)")
	flags.StringArrayVar(&f.ipamOptions, "ipam-opt", nil, "`key=value` for the address driver; repeatable")
	flags.StringVar(&f.scope, "scope", "", "local, or global for a network of all hosts that share a store (default: as the driver says)")
	flags.BoolVar(&f.attachable, "attachable", false, "let containers of a cluster join by hand")
	flags.StringArrayVar(&f.dns, "dns", nil, "`address` of a name server for containers with none of their own; repeatable")
	cmd.RunE = a.asking(func(ctx context.Context, c *client.Client, args []string) error {
		f.ipv6Given = flags.Changed("ipv6")
		body, err := f.body(args[0])
		if err != nil {
			return err
		}
		id, err := c.CreateNetwork(ctx, body)
		if err != nil {
			return err
		}
		a.printf("%s\n", id)
		return nil
	})
	return cmd
}

// body checks all the flags.
func (f *networkFlags) body(name string) (n api.NetworkCreate, err error) {
	n = api.NetworkCreate{
		Name: name, ID: f.id, NetworkType: f.driver, IPAMDriver: f.ipamDriver, AddressSpace: f.addressSpace,
		EnableIPv6: f.ipv6, Internal: f.internal, Attachable: f.attachable, Scope: f.scope, DNS: f.dns,
	}
	if err := checkName("network", name); err != nil {
		return n, err
	}
	for _, word := range [][2]string{{"network's id", f.id}, {"driver", f.driver}, {"address driver", f.ipamDriver}} {
		if word[1] == "" {
			continue
		}
		if err := checkName(word[0], word[1]); err != nil {
			return n, err
		}
	}
	if n.DriverOpts, err = parsePairs("option", splitOptions(f.options)); err != nil {
		return n, err
	}
	if n.Labels, err = parsePairs("label", f.labels); err != nil {
		return n, err
	}
	if n.IPAMOpts, err = parsePairs("option of the address driver", f.ipamOptions); err != nil {
		return n, err
	}
	if err := checkServers(f.dns); err != nil {
		return n, err
	}
	if !f.ipv4 {
		n.EnableIPv4 = new(bool)
	}
	pools, err := f.pools()
	if err != nil {
		return n, err
	}
	for _, p := range pools {
		if p.subnet.Addr().Is4() {
			n.IPv4Conf = append(n.IPv4Conf, p.body)
		} else {
			n.IPv6Conf = append(n.IPv6Conf, p.body)
		}
	}
	return n, f.families(&n)
}

// families refuses subnets of a family that is left out. A subnet of IPv6 asks for it.
func (f *networkFlags) families(n *api.NetworkCreate) error {
	switch {
	case len(n.IPv4Conf) > 0 && !f.ipv4:
		return invalid("subnet", n.IPv4Conf[0].PreferredPool, "is of IPv4, which --ipv4=false leaves out")
	case len(n.IPv6Conf) > 0 && !f.ipv6 && f.ipv6Given:
		return invalid("subnet", n.IPv6Conf[0].PreferredPool, "is of IPv6, which --ipv6=false leaves out")
	}
	n.EnableIPv6 = f.ipv6 || len(n.IPv6Conf) > 0
	if !f.ipv4 && !n.EnableIPv6 {
		return cnm.E("", cnm.Invalid, errors.New("a network needs IPv4 or IPv6: give --ipv6 with --ipv4=false"))
	}
	return nil
}

// pool is a subnet with what belongs to it.
type pool struct {
	subnet netip.Prefix
	body   api.IPAMConfig
}

// pools finds out which subnet each range, gateway and auxiliary address belongs to.
func (f *networkFlags) pools() ([]*pool, error) {
	var pools []*pool
	for _, text := range f.subnets {
		subnet, err := parseSubnet("subnet", text)
		if err != nil {
			return nil, err
		}
		for _, other := range pools {
			if other.subnet.Overlaps(subnet) {
				return nil, invalid("subnet", text, "overlaps with "+other.subnet.String())
			}
		}
		pools = append(pools, &pool{subnet, api.IPAMConfig{PreferredPool: subnet.String()}})
	}
	find := func(what, text string, address netip.Addr) (*api.IPAMConfig, error) {
		i := slices.IndexFunc(pools, func(p *pool) bool { return p.subnet.Contains(address) })
		if i < 0 {
			return nil, invalid(what, text, "is in none of the subnets; give the one it is in with --subnet")
		}
		return &pools[i].body, nil
	}
	once := func(what, text string, to *string, value string) error {
		if *to != "" {
			return invalid(what, text, "its subnet has one already: "+*to)
		}
		*to = value
		return nil
	}
	for _, text := range f.ranges {
		part, err := parseSubnet("range", text)
		if err != nil {
			return nil, err
		}
		conf, err := find("range", text, part.Addr())
		if err != nil {
			return nil, err
		}
		if netip.MustParsePrefix(conf.PreferredPool).Bits() > part.Bits() {
			return nil, invalid("range", text, "is larger than its subnet "+conf.PreferredPool)
		}
		if err := once("range", text, &conf.SubPool, part.String()); err != nil {
			return nil, err
		}
	}
	for _, text := range f.gateways {
		address, err := parseAddress("gateway", text)
		if err != nil {
			return nil, err
		}
		conf, err := find("gateway", text, address)
		if err != nil {
			return nil, err
		}
		if err := once("gateway", text, &conf.Gateway, address.String()); err != nil {
			return nil, err
		}
	}
	return pools, f.auxiliaries(find)
}

// auxiliaries puts each auxiliary address into its subnet.
func (f *networkFlags) auxiliaries(find func(what, text string, address netip.Addr) (*api.IPAMConfig, error)) error {
	for _, text := range f.auxiliary {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return invalid("auxiliary address", text, "want name=address")
		}
		address, err := parseAddress("auxiliary address", value)
		if err != nil {
			return err
		}
		conf, err := find("auxiliary address", text, address)
		if err != nil {
			return err
		}
		if conf.AuxAddresses == nil {
			conf.AuxAddresses = map[string]string{}
		}
		if other, taken := conf.AuxAddresses[name]; taken {
			return invalid("auxiliary address", text, "the name is that of "+other+" already")
		}
		conf.AuxAddresses[name] = address.String()
	}
	return nil
}
