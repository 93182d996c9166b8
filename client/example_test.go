package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/docker/libnetwork/api"
	"github.com/docker/libnetwork/client"
	"github.com/docker/libnetwork/cnm"
)

// answering stands for a daemon in the examples.
func answering(status int, body string) client.Option {
	return client.WithTransport(func(http.RoundTripper) http.RoundTripper {
		return direct{func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
		}}
	})
}

func ExampleClient_CreateNetwork() {
	c, err := client.New("unix:///run/libnetwork/dnet.sock", answering(201, `"4f2a"`))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id, err := c.CreateNetwork(ctx, api.NetworkCreate{
		Name: "web", IPv4Conf: []api.IPAMConfig{{PreferredPool: "172.30.0.0/24"}},
	})
	fmt.Println(id, err)
	// Output: 4f2a <nil>
}

func ExampleClient_DeleteNetwork() {
	c, err := client.New("", answering(403, `{"kind":"forbidden","message":"delete network \"web\": has 2 endpoints"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	err = c.DeleteNetwork(context.Background(), "web")
	if errors.Is(err, cnm.Forbidden) {
		fmt.Println("not now:", err)
	}
	// Output: not now: delete network "web": has 2 endpoints
}

func ExampleClient_Events() {
	c, err := client.New("", client.WithTransport(func(http.RoundTripper) http.RoundTripper {
		return direct{func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/info" {
				_, _ = fmt.Fprint(w, "{}")
				return
			}
			_, _ = fmt.Fprint(w, "id: 1\ndata: {\"sequence\":1,\"type\":\"network\",\"action\":\"create\",\"name\":\"web\"}\n\n")
		}}
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	for event, err := range c.Events(context.Background(), client.EventOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(event.Type, event.Action, event.Name)
		break
	}
	// Output: network create web
}
