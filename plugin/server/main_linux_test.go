package server

import (
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

func TestMain(m *testing.M) { kerneltest.Main(m) }
