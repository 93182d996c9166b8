//go:build !linux

package kerneltest

import "testing"

// need does nothing: only the fake runs here, and it has all features.
func need(testing.TB, ...Feature) {}
