package kernel

import (
	"fmt"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/netstate"
)

// Feature is something that a kernel may be built without. Its text is what messages call
// it; those of kinds of links are called like the kind.
type Feature string

// Features.
const (
	FeatureBridge    Feature = Feature(netstate.Bridge)
	FeatureVeth      Feature = Feature(netstate.Veth)
	FeatureMacvlan   Feature = Feature(netstate.Macvlan)
	FeatureIPvlan    Feature = Feature(netstate.IPvlan)
	FeatureIPvlanL3S Feature = "ipvlan in mode l3s"
	FeatureVLAN      Feature = Feature(netstate.VLAN)
	FeatureDummy     Feature = Feature(netstate.Dummy)
	FeatureIFB       Feature = Feature(netstate.IFB)
	FeatureTBF       Feature = "tbf"
	FeatureIngress   Feature = "ingress"
	FeatureU32       Feature = "u32"
	FeatureMirred    Feature = "mirred"
)

// FeatureStatus is what there is to know about a feature.
type FeatureStatus struct {
	Feature Feature `json:"feature"`
	// Purpose says what it is needed for.
	Purpose string `json:"purpose"`
	// Since is the first Linux that has it.
	Since string `json:"since"`
	// Config is the symbol that a kernel is built with, and Module what it is in, unless
	// it is built in.
	Config string `json:"config"`
	Module string `json:"module"`
	// Present says whether this kernel has it.
	Present bool `json:"present"`
}

// Prober tells what the kernel has. It looks once.
type Prober interface {
	// List returns all features, in a fixed order.
	List() ([]FeatureStatus, error)
	// Require returns an Unsupported error that names the first feature that is absent.
	Require(features ...Feature) error
}

// KnownFeatures returns the table of features, as if none were present.
func KnownFeatures() []FeatureStatus {
	return []FeatureStatus{
		{FeatureBridge, "bridge networks", "2.6", "CONFIG_BRIDGE", "bridge", false},
		{FeatureVeth, "bridge networks", "2.6.24", "CONFIG_VETH", "veth", false},
		{FeatureMacvlan, "macvlan networks", "2.6.38", "CONFIG_MACVLAN", "macvlan", false},
		{FeatureIPvlan, "ipvlan networks", "3.19", "CONFIG_IPVLAN", "ipvlan", false},
		{FeatureIPvlanL3S, "ipvlan networks in mode l3s", "4.9", "CONFIG_IPVLAN_L3S", "ipvlan", false},
		{FeatureVLAN, "parents such as eth0.10", "2.6", "CONFIG_VLAN_8021Q", "8021q", false},
		{FeatureDummy, "macvlan and ipvlan networks without a parent", "2.6", "CONFIG_DUMMY", "dummy", false},
		{FeatureTBF, "bandwidth limits", "2.6", "CONFIG_NET_SCH_TBF", "sch_tbf", false},
		{FeatureIFB, "ingress limits of macvlan and ipvlan endpoints", "2.6.16", "CONFIG_IFB", "ifb", false},
		{FeatureIngress, "ingress limits of macvlan and ipvlan endpoints", "2.6", "CONFIG_NET_SCH_INGRESS", "sch_ingress", false},
		{FeatureU32, "ingress limits of macvlan and ipvlan endpoints", "2.6", "CONFIG_NET_CLS_U32", "cls_u32", false},
		{FeatureMirred, "ingress limits of macvlan and ipvlan endpoints", "2.6", "CONFIG_NET_ACT_MIRRED", "act_mirred", false},
	}
}

// Absent returns the Unsupported error for a feature that the kernel does not have, such
// as "ipvlan: this kernel has no ipvlan (CONFIG_IPVLAN, module ipvlan)".
func Absent(feature Feature) error {
	for _, f := range KnownFeatures() {
		if f.Feature == feature {
			return cnm.E(string(feature), cnm.Unsupported, fmt.Errorf("this kernel has no %s (%s, module %s)", feature, f.Config, f.Module))
		}
	}
	return cnm.E(string(feature), cnm.Unsupported, fmt.Errorf("this kernel has no %s", feature))
}

// RequireOf is Prober.Require on what List returns.
func RequireOf(list []FeatureStatus, features ...Feature) error {
	for _, wanted := range features {
		for _, f := range list {
			if f.Feature == wanted && !f.Present {
				return Absent(wanted)
			}
		}
	}
	return nil
}
