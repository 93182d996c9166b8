package discoverapi_test

import (
	"encoding/json"
	"testing"

	"github.com/docker/libnetwork/discoverapi"
)

func TestWireForm(t *testing.T) {
	if discoverapi.NodeDiscovery != 1 || discoverapi.DatastoreConfig != 2 ||
		discoverapi.EncryptionKeysConfig != 3 || discoverapi.EncryptionKeysUpdate != 4 {
		t.Error("the numbers changed")
	}
	got, err := json.Marshal(discoverapi.NodeDiscoveryData{Address: "192.0.2.1", Self: true})
	want := `{"Address":"192.0.2.1","BindAddress":"","Self":true}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
