package kerneltest

import "testing"

// TestEveryFeatureCanBeLookedFor fails when a probe makes something that no kernel
// would accept, or that the kernel refuses for another reason than not knowing it.
func TestEveryFeatureCanBeLookedFor(t *testing.T) {
	RequireRoot(t)
	for _, f := range allFeatures() {
		present, err := HasFeature(f)
		if err != nil {
			t.Error(err)
		}
		t.Logf("kernel feature %s: %t", f, present)
	}
	if present, err := HasFeature("teleport"); err == nil {
		t.Errorf("an unknown feature is no error, and is there: %t", present)
	}
}

// TestFeaturesThatMayBeMissing needs each of them: where this is skipped, the rig runs
// it in a kernel that has them all.
func TestFeaturesThatMayBeMissing(t *testing.T) {
	for _, f := range allFeatures() {
		t.Run(string(f), func(t *testing.T) { NeedFeature(t, f) })
	}
}
