package server

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin/lease"
	"github.com/docker/libnetwork/plugin/protocol"
)

// ipamCapabilities: the book remembers, so that nobody has to ask again after a restart.
func (s *Server) ipamCapabilities(context.Context, *protocol.Empty) (*protocol.IpamCapabilitiesReply, error) {
	return &protocol.IpamCapabilitiesReply{}, nil
}

func (s *Server) defaultAddressSpaces(ctx context.Context, _ *protocol.Empty) (*protocol.DefaultAddressSpacesReply, error) {
	local, global, err := s.Leases.AddressSpaces(ctx)
	return &protocol.DefaultAddressSpacesReply{LocalDefaultAddressSpace: local, GlobalDefaultAddressSpace: global}, err
}

// grantedPool is acknowledged.
type grantedPool struct {
	protocol.RequestPoolReply
	book *lease.Book
}

func (g grantedPool) sent(ctx context.Context) error { return g.book.PoolAnswered(ctx, g.PoolID) }

func (g grantedPool) lost(ctx context.Context) error {
	return ignoreNotFound(g.book.ReleasePool(ctx, g.PoolID))
}

func (s *Server) requestPool(ctx context.Context, r *protocol.RequestPoolRequest) (any, error) {
	const op = "request pool"
	request := cnm.PoolRequest{AddressSpace: r.AddressSpace, IPv6: r.V6, Options: make(map[string]string)}
	for name, value := range r.Options {
		serial, err := strconv.ParseBool(value)
		if name != lease.OptionSerial || err != nil {
			return nil, cnm.E(op, cnm.Invalid, fmt.Errorf("option %q: value %q: there is only %q, with true or false", name, value, lease.OptionSerial))
		}
		request.Options[name] = strconv.FormatBool(serial)
	}
	var err error
	if request.Pool, err = prefix("subnet", r.Pool); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	if request.SubPool, err = prefix("address range", r.SubPool); err != nil {
		return nil, cnm.Wrap(op, err)
	}
	granted, err := s.Leases.RequestPool(ctx, request)
	if err != nil {
		return nil, err
	}
	reply := protocol.RequestPoolReply{PoolID: granted.ID, Pool: granted.Prefix.String(), Data: map[string]string{}}
	return grantedPool{reply, s.Leases}, nil
}

// prefix takes the form with bits behind the length too, as engines pass on what users
// write.
func prefix(what, text string) (netip.Prefix, error) {
	if text == "" {
		return netip.Prefix{}, nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, invalid("%s %q: not in CIDR form, as 192.0.2.0/24", what, text)
	}
	return p.Masked(), nil
}

func (s *Server) releasePool(ctx context.Context, r *protocol.ReleasePoolRequest) (*protocol.Empty, error) {
	if err := ignoreNotFound(s.Leases.ReleasePool(context.WithoutCancel(ctx), r.PoolID)); err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}

// grantedAddress is acknowledged.
type grantedAddress struct {
	protocol.RequestAddressReply
	book    *lease.Book
	poolID  string
	address netip.Addr
}

func (g grantedAddress) sent(ctx context.Context) error {
	return g.book.AddressAnswered(ctx, g.poolID, g.address)
}

func (g grantedAddress) lost(ctx context.Context) error {
	return ignoreNotFound(g.book.ReleaseAddress(ctx, g.poolID, g.address))
}

func (s *Server) requestAddress(ctx context.Context, r *protocol.RequestAddressRequest) (any, error) {
	request, err := addressRequest(r)
	if err != nil {
		return nil, cnm.Wrap("request address", err)
	}
	var granted cnm.Address
	err = s.sweeping(ctx, func() (err error) {
		granted, err = s.Leases.RequestAddress(ctx, request)
		return err
	})
	if err != nil {
		return nil, err
	}
	reply := protocol.RequestAddressReply{Address: granted.Prefix.String(), Data: map[string]string{}}
	return grantedAddress{reply, s.Leases, r.PoolID, granted.Prefix.Addr()}, nil
}

func addressRequest(r *protocol.RequestAddressRequest) (cnm.AddressRequest, error) {
	out := cnm.AddressRequest{PoolID: r.PoolID}
	for name, value := range r.Options {
		var err error
		switch name {
		case protocol.RequestAddressType:
			if out.Gateway = value == protocol.GatewayAddress; !out.Gateway {
				err = invalid("want %q", protocol.GatewayAddress)
			}
		case protocol.Serial:
			out.Serial = strings.EqualFold(value, "true")
		case protocol.MACAddress:
			out.MAC, err = netstate.ParseMAC(value)
		default:
			// Engines pass on what they tell each address manager, such as an endpoint's
			// name; none of it changes the address.
		}
		if err != nil {
			return out, invalid("option %q: value %q: %w", name, value, err)
		}
	}
	if r.Address == "" {
		return out, nil
	}
	address, err := netip.ParseAddr(r.Address)
	if err != nil || address.Zone() != "" {
		return out, invalid("address %q: not an IP address", r.Address)
	}
	out.Address = address.Unmap()
	return out, nil
}

func (s *Server) releaseAddress(ctx context.Context, r *protocol.ReleaseAddressRequest) (*protocol.Empty, error) {
	address, err := netip.ParseAddr(r.Address)
	if err != nil || address.Zone() != "" {
		return nil, cnm.Wrap("release address", invalid("address %q: not an IP address", r.Address))
	}
	err = ignoreNotFound(s.Leases.ReleaseAddress(context.WithoutCancel(ctx), r.PoolID, address))
	if err != nil {
		return nil, err
	}
	return &protocol.Empty{}, nil
}
