package memory_test

import (
	"testing"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/memory"
	"github.com/docker/libnetwork/datastore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, storetest.Factory{Open: func(testing.TB) cnm.Store { return memory.New() }})
}
