package kerneltest_test

import (
	"testing"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestFakeKeepsTheContract(t *testing.T) {
	kerneltest.Run(t, func(*testing.T) kernel.Host { return kerneltest.NewFake() })
}
