package kerneltest

import (
	"slices"
	"strings"
	"testing"
)

// allFeatures are those that have a constant.
func allFeatures() []Feature {
	return []Feature{
		FeatureMacvlan, FeatureIPvlan, FeatureDummy, FeatureVLAN, FeatureIPVS, FeatureESP, FeatureWireGuard,
		FeatureNetem, FeatureTBF, FeatureHTB, FeatureIFB, FeatureMirred,
	}
}

func TestFeaturesSayWhatTheyNeed(t *testing.T) {
	const want = `"ipvlan" (CONFIG_IPVLAN, module ipvlan)`
	if got := FeatureIPvlan.String(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for _, f := range allFeatures() {
		if s, known := f.source(); !known || !strings.HasPrefix(s.symbol, "CONFIG_") || s.module == "" {
			t.Errorf("feature %s: source is %+v", f, s)
		}
	}
}

func TestMissingFeatures(t *testing.T) {
	two := []Feature{FeatureIPvlan, FeatureVLAN}
	for _, c := range []struct {
		name, reason string
		want         []Feature
	}{
		{"one", `needs kernel feature "ipvlan" (CONFIG_IPVLAN, module ipvlan)`, two[:1]},
		{"with a place", "    some_test.go:12: " + needsLine(two) + "\n", two},
		{"all", needsLine(allFeatures()), allFeatures()},
		{"something else", "needs root", nil},
		{"nothing", "", nil},
		{"no feature", needs, nil},
		{"unknown", `needs kernel feature "teleport" (CONFIG_TELEPORT, module teleport)`, nil},
		{"one is unknown", needsLine([]Feature{FeatureIPvlan, "teleport"}), nil},
		{"another module", `needs kernel feature "ipvlan" (CONFIG_IPVLAN, module macvlan)`, nil},
		{"more behind it", needsLine(two) + ", or a good reason", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := MissingFeatures(c.reason); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func FuzzMissingFeatures(f *testing.F) {
	f.Add(needsLine(allFeatures()))
	f.Add(`needs kernel feature "ipvlan" (CONFIG_IPVLAN, module ipvlan)`)
	f.Add(`needs kernel feature "x" (`)
	f.Fuzz(func(t *testing.T, reason string) {
		missing := MissingFeatures(reason)
		if len(missing) > 0 && !strings.Contains(reason, needsLine(missing)) {
			t.Errorf("%q is not in what was read: %q", needsLine(missing), reason)
		}
	})
}
