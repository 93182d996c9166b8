package libnetwork_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/docker/libnetwork"
	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/config"
)

// getter is an engine that has found a plugin by itself, and talks to it in its own way.
type getter struct{ m *maker }

func (g getter) Get(name, capability string, _ int) (config.Plugin, error) {
	if name != "engines" || capability != "NetworkDriver" {
		return nil, fmt.Errorf("the engine has no %q", name)
	}
	return g, nil
}

func (g getter) GetAllByCap(string) ([]config.Plugin, error)                  { return nil, nil }
func (g getter) Handle(string, func(name string, client config.PluginClient)) {}
func (g getter) Name() string                                                 { return "engines" }
func (g getter) BasePath() string                                             { return "" }
func (g getter) IsV1() bool                                                   { return false }
func (g getter) Client() config.PluginClient                                  { return g }

func (g getter) Call(method string, args, ret any) error {
	body, err := json.Marshal(args)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", g.m.Socket())
	}}}
	response, err := client.Post("http://plugin/"+method, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // it is only read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", response.Status, answer)
	}
	return json.Unmarshal(answer, ret)
}

// An engine that embeds the library may find plugins itself.
func TestPluginGetter(t *testing.T) {
	s := newScratch(t)
	m := newMaker(t, s)
	m.joinAnswer = `{"InterfaceName":{"SrcName":%q,"DstPrefix":"eth"},"DisableGatewayService":true}`
	c := s.open(t, config.OptionPluginGetter(getter{m}))
	if _, err := c.NewNetwork("maker", "web", ""); !errors.Is(err, cnm.NotFound) {
		t.Errorf("a plugin that the engine does not have: %v", err)
	}
	n := must[libnetwork.Network](t)(c.NewNetwork("engines", "web", ""))
	one, two := must[libnetwork.Sandbox](t)(c.NewSandbox("one")), must[libnetwork.Sandbox](t)(c.NewSandbox("two"))
	epOne, epTwo := must[libnetwork.Endpoint](t)(n.CreateEndpoint("one")), must[libnetwork.Endpoint](t)(n.CreateEndpoint("two"))
	ok(t, epOne.Join(one))
	ok(t, epTwo.Join(two))
	ping(t, one, address(epTwo))
	ok(t, one.Delete())
	ok(t, two.Delete())
	ok(t, n.Delete())
	m.want("CreateNetwork", "CreateEndpoint", "CreateEndpoint", "Join", "Join", "Leave", "DeleteEndpoint", "Leave", "DeleteEndpoint", "DeleteNetwork")
	s.wantEmpty(t)
}
