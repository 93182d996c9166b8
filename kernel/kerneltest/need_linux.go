package kerneltest

import "testing"

// need is NeedFeature where the suite runs on Linux; the fake has all.
func need(t testing.TB, features ...Feature) {
	t.Helper()
	NeedFeature(t, features...)
}
