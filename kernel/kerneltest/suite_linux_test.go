package kerneltest_test

import (
	"testing"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }

func TestLinuxKeepsTheContract(t *testing.T) {
	kerneltest.Run(t, func(t *testing.T) kernel.Host { return kerneltest.NewHost(t) })
}
