package firewalld_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// TestPublishedPortBesideTheRealOne publishes a port on a host where firewalld runs, and
// wants it reached before and after firewalld reloads, and by nobody when it is gone.
func TestPublishedPortBesideTheRealOne(t *testing.T) {
	noLeaks(t)
	ctx := context.Background()
	s := newSite(t)
	s.begin(t)
	host, err := kernel.Open(kernel.Options{
		HostNamespace: s.lan.Host, Instance: "beside", Firewall: kernel.FirewallOptions{Bus: s.address},
	})
	check(t, err)
	t.Cleanup(func() { check(t, host.Close()) })
	const published = 9090
	ask := func() error {
		answer, err := kerneltest.Ask(s.lan.Neighbor, "tcp", fmt.Sprintf("%s:%d", kerneltest.HostIPv4, published), time.Second)
		if err == nil && !strings.HasPrefix(answer, "container ") {
			err = fmt.Errorf("answer %q", answer)
		}
		return err
	}
	part := netstate.Part{Owner: "network/n"}
	for _, text := range []string{
		"inbound ipv4 " + bridge + " published",
		fmt.Sprintf("publish tcp 0.0.0.0:%d to %s:%d", published, containerIP, serverPort),
	} {
		intent, err := netstate.ParseIntent(text)
		check(t, err)
		part.Intents = append(part.Intents, intent)
	}
	check(t, host.Apply(ctx, netstate.Diff(nil, []netstate.Part{part})))
	check(t, ask())
	var told atomic.Int64
	check(t, host.Firewall().Watch(ctx, func() { told.Add(1) }))
	for _, how := range []string{"--reload", "--complete-reload"} {
		before := told.Load()
		s.must(t, how)
		eventually(t, "news of "+how, func() error {
			if told.Load() == before {
				return errors.New("none yet")
			}
			return nil
		})
		check(t, ask())
	}
	check(t, host.Apply(ctx, netstate.Diff([]netstate.Part{part}, nil)))
	if err := ask(); err == nil {
		t.Error("the port is reached after it was withdrawn")
	}
	if links := s.must(t, "--zone=libnetwork", "--list-interfaces"); links != "" {
		t.Errorf("left in the zone: %s", links)
	}
}
