//go:build !linux

package kerneltest

import (
	"testing"

	"github.com/docker/libnetwork/kernel"
)

// need does nothing: only the fake runs here, and it has all features.
func need(testing.TB, ...Feature) {}

// foreignPairs is for Linux: elsewhere there are only fakes.
func foreignPairs(t testing.TB, _ kernel.Host, _ ...string) {
	t.Helper()
	t.Fatal("there are no links on this system")
}
