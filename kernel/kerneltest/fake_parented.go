package kerneltest

import (
	"fmt"
	"slices"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/netstate"
)

// Lack makes the kernel one that was built without the features.
func (f *Fake) Lack(features ...kernel.Feature) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, feature := range features {
		f.lacks[feature] = true
	}
}

// Features implements kernel.Host.
func (f *Fake) Features() kernel.Prober { return fakeProber{f} }

type fakeProber struct{ f *Fake }

func (p fakeProber) List() ([]kernel.FeatureStatus, error) {
	p.f.mu.Lock()
	defer p.f.mu.Unlock()
	list := kernel.KnownFeatures()
	for i := range list {
		list[i].Present = !p.f.lacks[list[i].Feature]
	}
	return list, nil
}

func (p fakeProber) Require(features ...kernel.Feature) error {
	list, err := p.List()
	if err != nil {
		return err
	}
	return kernel.RequireOf(list, features...)
}

// hang makes a link that is being made hang on its parent, as far as the kernel allows.
func (f *Fake) hang(made *fakeLink, want netstate.Link) error {
	parent, ok := f.spaces[""].links[want.Parent]
	if !ok {
		return notFound("parent %q: there is no such link on the host", want.Parent)
	}
	if err := f.checkLoad(parent.Link, netstate.Load{Kind: want.Kind, MTU: want.MTU}); err != nil {
		return err
	}
	if want.Kind != netstate.VLAN {
		if err := f.checkOthers(want); err != nil {
			return err
		}
	}
	made.Parent, made.Mode, made.Flag, made.VLANID = want.Parent, want.Mode, want.Flag, want.VLANID
	made.MTU = parent.MTU
	if want.Kind == netstate.IPvlan || want.Mode == netstate.ModePassthru {
		made.MAC = parent.MAC
	}
	return nil
}

// checkOthers looks at what hangs on the parent already.
func (f *Fake) checkOthers(want netstate.Link) error {
	for _, s := range f.spaces {
		for _, other := range s.links {
			if other.Parent != want.Parent || other.Kind == netstate.VLAN {
				continue
			}
			alone := want.Mode == netstate.ModePassthru || other.Mode == netstate.ModePassthru
			if other.Kind != want.Kind || alone {
				return cnm.E("", cnm.Forbidden, fmt.Errorf("parent %q: is in use", want.Parent))
			}
		}
	}
	return nil
}

func (f *Fake) checkLoad(parent netstate.Link, load netstate.Load) error {
	refuse := func(kind cnm.Kind, why string) error {
		return cnm.E("", kind, fmt.Errorf("parent %q: %s", parent.Name, why))
	}
	switch {
	case load.Kind == "":
		return nil
	case parent.Name == "lo":
		return refuse(cnm.Invalid, "the loopback leads nowhere")
	case load.MTU > parent.MTU:
		return refuse(cnm.Invalid, "its MTU is smaller")
	case parent.Master != "" && load.Kind != netstate.VLAN:
		return refuse(cnm.Forbidden, "is a port of a bridge")
	}
	return nil
}

func (f *Fake) applyLimit(s *fakeSpace, verb netstate.Verb, o netstate.Limit) error {
	if verb == netstate.Add {
		if err := kernel.CheckLimit(o); err != nil {
			return cnm.E("", cnm.Invalid, err)
		}
		if _, ok := s.links[o.Through]; o.Through != "" && !ok {
			return notFound("link %q: does not exist", o.Through)
		}
		if f.lacks[kernel.FeatureTBF] {
			return kernel.Absent(kernel.FeatureTBF)
		}
	}
	s.limits = slices.DeleteFunc(s.limits, func(l netstate.Limit) bool {
		return l.Link == o.Link && (l.Through == "") == (o.Through == "")
	})
	if verb == netstate.Add {
		s.limits = append(s.limits, o)
	}
	return nil
}
