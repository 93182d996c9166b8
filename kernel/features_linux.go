package kernel

import (
	"context"
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/netstate"
)

// Features returns what this kernel has and what it lacks, found out by trying, in a
// namespace that goes again at once. A module that is there is loaded.
func Features(ctx context.Context) ([]FeatureStatus, error) {
	list := KnownFeatures()
	err := netns.Scratch(func() error {
		conn, err := rtnl.Dial()
		if err != nil {
			return err
		}
		defer conn.Close() //nolint:errcheck // all that it did goes
		for i := range list {
			if list[i].Present, err = probe(ctx, conn, list[i].Feature); err != nil {
				return cnm.Wrap(string(list[i].Feature), err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, cnm.Wrap("look for features of the kernel", err)
	}
	return list, nil
}

// loopback is the index of a namespace's first link.
const loopback = 1

// probe tries one feature in a scratch namespace.
func probe(ctx context.Context, conn *rtnl.Conn, feature Feature) (bool, error) {
	var requests []rtnl.Request
	none := rtnl.Attributes{}
	switch feature {
	case FeatureBridge:
		requests = append(requests, rtnl.NewBridge("p-bridge", none))
	case FeatureVeth:
		requests = append(requests, rtnl.NewPlain("p-veth", none, netstate.Veth))
	case FeatureDummy, FeatureIFB:
		requests = append(requests, rtnl.NewPlain("p-"+string(feature), none, netstate.Kind(feature)))
	case FeatureMacvlan, FeatureIPvlan, FeatureVLAN:
		// Without a parent it is refused, but not for its kind.
		requests = append(requests, rtnl.NewPlain("p-"+string(feature), none, netstate.Kind(feature)))
	case FeatureIPvlanL3S:
		return probeL3S(ctx, conn)
	case FeatureTBF:
		requests = append(requests, rtnl.SetLimit(rtnl.Limit{Link: loopback, Rate: 1_000_000, Burst: 100_000}))
	case FeatureIngress:
		requests = append(requests, rtnl.OpenIngress(loopback))
	case FeatureU32:
		requests = append(requests, rtnl.OpenIngress(loopback), rtnl.AddClassifier(loopback), rtnl.RemoveRedirect(loopback))
	case FeatureMirred:
		requests = append(requests, rtnl.OpenIngress(loopback), rtnl.AddRedirect(rtnl.Redirect{Link: loopback, To: loopback}))
	}
	return tried(ctx, conn, requests...)
}

// probeL3S needs a parent, which is one end of a pair.
func probeL3S(ctx context.Context, conn *rtnl.Conn) (bool, error) {
	var parent rtnl.Link
	errs, err := conn.ExecuteAll(ctx, rtnl.NewPlain("p-parent", rtnl.Attributes{}, netstate.Veth), rtnl.GetLink("p-parent", &parent))
	if err != nil || errors.Join(errs...) != nil {
		return false, err
	}
	return tried(ctx, conn, rtnl.NewParented("p-l3s", rtnl.Attributes{},
		rtnl.Parented{Kind: netstate.IPvlan, Parent: parent.Index, Mode: netstate.ModeL3S}, -1))
}

// tried reports whether the kernel knows what the requests are about.
func tried(ctx context.Context, conn *rtnl.Conn, requests ...rtnl.Request) (bool, error) {
	errs, err := conn.ExecuteAll(ctx, requests...)
	if err != nil {
		return false, err
	}
	for _, err := range errs {
		switch {
		case err == nil, errors.Is(err, unix.EINVAL), errors.Is(err, unix.EEXIST):
		case unknown(err):
			return false, nil
		default:
			return false, err
		}
	}
	return true, nil
}

// unknown reports whether the kernel says that it does not have what a request names:
// kinds of links are refused in one way, those of traffic control in the other.
func unknown(err error) bool { return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOENT) }

// prober implements Prober. What the kernel has does not change while it runs, but for
// modules that are installed, so it looks once.
type prober struct {
	mu   sync.Mutex // guards list
	list []FeatureStatus
}

// List implements Prober.
func (p *prober) List() ([]FeatureStatus, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.list == nil {
		list, err := Features(context.Background())
		if err != nil {
			return nil, err
		}
		p.list = list
	}
	return append([]FeatureStatus(nil), p.list...), nil
}

// Require implements Prober.
func (p *prober) Require(features ...Feature) error {
	list, err := p.List()
	if err != nil {
		return err
	}
	return RequireOf(list, features...)
}

func (h *host) Features() Prober { return &h.prober }
