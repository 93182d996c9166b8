package remote_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/ipams/remote"
	"github.com/docker/libnetwork/netstate"
	"github.com/docker/libnetwork/plugin"
	"github.com/docker/libnetwork/plugin/plugintest"
)

// impatience is for what has no end; what has one gets patience, on a busy machine.
const (
	impatience = time.Second
	patience   = 20 * time.Second
)

// start runs a plugin with one pool and one address, and an address manager for it.
func start(t *testing.T) (*plugintest.Plugin, *remote.IPAM) {
	t.Helper()
	p := plugintest.Start(t, "infra", remote.Type)
	p.Answer("IpamDriver.GetCapabilities", `{"RequiresMACAddress":true}`)
	p.Answer("IpamDriver.GetDefaultAddressSpaces", `{"LocalDefaultAddressSpace":"here","GlobalDefaultAddressSpace":"there"}`)
	p.Answer("IpamDriver.RequestPool", `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{}}`)
	p.Answer("IpamDriver.ReleasePool", `{}`)
	p.Answer("IpamDriver.RequestAddress", `{"Address":"10.1.0.7/16"}`)
	p.Answer("IpamDriver.ReleaseAddress", `{}`)
	return p, with(t, p, patience, patience)
}

// with returns one that waits for answers, and for the plugin, as long as that.
func with(t *testing.T, p *plugintest.Plugin, answer, start time.Duration) *remote.IPAM {
	t.Helper()
	r := plugin.New(plugin.Options{SocketFolders: []string{p.Folder}, SpecFolders: []string{p.Folder}, CallTimeout: answer, RetryFor: start})
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return remote.New(r, "infra")
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

func body(method, text string) plugintest.Call {
	return plugintest.Call{Method: "IpamDriver." + method, Body: text}
}

func wantCalls(t *testing.T, p *plugintest.Plugin, want ...plugintest.Call) {
	t.Helper()
	got := p.Calls()
	for i := range got {
		got[i].Host, got[i].Accept = "", ""
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRequests(t *testing.T) {
	p, m := start(t)
	local, global, err := m.AddressSpaces(t.Context())
	if err != nil || local != "here" || global != "there" {
		t.Errorf("address spaces %q and %q, %v", local, global, err)
	}
	wantCalls(t, p, body("GetDefaultAddressSpaces", ""))

	pool, err := m.RequestPool(t.Context(), cnm.PoolRequest{AddressSpace: "here", Holder: `network "web"`})
	if err != nil || pool.ID != "p" || pool.Prefix != prefix("10.1.0.0/16") {
		t.Errorf("pool %+v, %v", pool, err)
	}
	wantCalls(t, p, body("RequestPool", `{"AddressSpace":"here","Pool":"","SubPool":"","Options":{},"V6":false}`))
	if _, err := m.RequestPool(t.Context(), cnm.PoolRequest{
		AddressSpace: "here", Pool: prefix("10.1.0.0/16"), SubPool: prefix("10.1.2.0/24"), Options: map[string]string{"a": "b"},
	}); err != nil {
		t.Error(err)
	}
	wantCalls(t, p, body("RequestPool", `{"AddressSpace":"here","Pool":"10.1.0.0/16","SubPool":"10.1.2.0/24","Options":{"a":"b"},"V6":false}`))

	options := map[string]string{"a": "b"}
	for _, test := range []struct {
		request cnm.AddressRequest
		body    string
	}{
		{cnm.AddressRequest{}, `{"PoolID":"p","Address":"","Options":{}}`},
		{cnm.AddressRequest{Address: addr("10.1.0.7"), Options: options}, `{"PoolID":"p","Address":"10.1.0.7","Options":{"a":"b"}}`},
		{cnm.AddressRequest{Gateway: true}, `{"PoolID":"p","Address":"","Options":{"RequestAddressType":"com.docker.network.gateway"}}`},
		{cnm.AddressRequest{Serial: true, Options: options}, `{"PoolID":"p","Address":"","Options":{"a":"b","com.docker.network.ipam.serial":"true"}}`},
	} {
		test.request.PoolID = "p"
		granted, err := m.RequestAddress(t.Context(), test.request)
		if err != nil || granted.Prefix != prefix("10.1.0.7/16") {
			t.Errorf("address %+v, %v", granted, err)
		}
		wantCalls(t, p, body("RequestAddress", test.body))
	}
	if len(options) != 1 {
		t.Errorf("the caller's options were changed: %v", options)
	}
	if err := errors.Join(m.ReleaseAddress(t.Context(), "p", addr("10.1.0.7")), m.ReleasePool(t.Context(), "p")); err != nil {
		t.Error(err)
	}
	wantCalls(t, p, body("ReleaseAddress", `{"PoolID":"p","Address":"10.1.0.7"}`), body("ReleasePool", `{"PoolID":"p"}`))
	p.Answer("IpamDriver.RequestAddress", `{"Address":"10.2.0.7/16"}`)
	if _, err := m.RequestAddress(t.Context(), cnm.AddressRequest{PoolID: "p"}); err != nil {
		t.Errorf("the subnet of a pool that was released is remembered: %v", err)
	}
}

// A pool without a gateway has one that stands for it, which is no lease.
func TestNoGateway(t *testing.T) {
	p, m := start(t)
	granted, err := m.RequestAddress(t.Context(), cnm.AddressRequest{PoolID: "p", Address: addr("0.0.0.0"), Gateway: true})
	if err != nil || granted.Prefix != prefix("0.0.0.0/0") {
		t.Errorf("address %+v, %v", granted, err)
	}
	if err := m.ReleaseAddress(t.Context(), "p", addr("::")); err != nil {
		t.Error(err)
	}
	wantCalls(t, p)
}

func TestNeeds(t *testing.T) {
	p, m := start(t)
	request := cnm.AddressRequest{PoolID: "p", MAC: netstate.MAC{2, 0, 0, 0, 0, 9}}
	ask := func() {
		t.Helper()
		if _, err := m.RequestAddress(t.Context(), request); err != nil {
			t.Error(err)
		}
	}
	const withMAC = `{"PoolID":"p","Address":"","Options":{"com.docker.network.endpoint.macaddress":"02:00:00:00:00:09"}}`
	ask()
	wantCalls(t, p, body("GetCapabilities", ""), body("RequestAddress", withMAC))
	ask()
	wantCalls(t, p, body("RequestAddress", withMAC))
	for _, none := range []func(){
		func() { p.AnswerStatus("IpamDriver.GetCapabilities", http.StatusNotFound, "") },
		func() { p.Answer("IpamDriver.GetCapabilities", `{"Error":"what?"}`) },
		func() { p.Answer("IpamDriver.GetCapabilities", `{}`) },
	} {
		none()
		p.Restart()
		ask()
		wantCalls(t, p, body("GetCapabilities", ""), body("RequestAddress", `{"PoolID":"p","Address":"","Options":{}}`))
	}
	p.Answer("IpamDriver.GetCapabilities", `{"RequiresRequestReplay":true}`)
	p.Restart()
	if replay, err := m.RequiresReplay(t.Context()); err != nil || !replay {
		t.Errorf("replay %v, %v", replay, err)
	}
	if mac, err := m.RequiresMAC(t.Context()); err != nil || mac {
		t.Errorf("MAC %v, %v", mac, err)
	}
	p.Hang("IpamDriver.GetCapabilities")
	p.Restart()
	m = with(t, p, impatience, patience)
	if _, err := m.Needs(t.Context()); !errors.Is(err, cnm.Timeout) {
		t.Errorf("error %v", err)
	}
	if _, err := m.RequestAddress(t.Context(), request); !errors.Is(err, cnm.Timeout) {
		t.Errorf("error %v", err)
	}
}

func calls(m *remote.IPAM) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"GetCapabilities":         func(ctx context.Context) error { _, err := m.Needs(ctx); return err },
		"GetDefaultAddressSpaces": func(ctx context.Context) error { _, _, err := m.AddressSpaces(ctx); return err },
		"RequestPool":             func(ctx context.Context) error { _, err := m.RequestPool(ctx, cnm.PoolRequest{}); return err },
		"ReleasePool":             func(ctx context.Context) error { return m.ReleasePool(ctx, "p") },
		"RequestAddress": func(ctx context.Context) error {
			_, err := m.RequestAddress(ctx, cnm.AddressRequest{PoolID: "p"})
			return err
		},
		"ReleaseAddress": func(ctx context.Context) error { return m.ReleaseAddress(ctx, "p", addr("10.1.0.7")) },
	}
}

// repeated are the methods that do no harm when they are asked for twice.
var repeated = map[string]bool{"GetCapabilities": true, "GetDefaultAddressSpaces": true}

func TestEachMethodGoesWrong(t *testing.T) {
	t.Parallel()
	var methods sync.WaitGroup
	for name := range calls(nil) {
		p, patient := start(t)
		hasty, impatient := with(t, p, 3*impatience, patience), with(t, p, patience, impatience)
		methods.Go(func() {
			whole := "IpamDriver." + name
			for _, way := range []struct {
				name    string
				prepare func()
				kind    cnm.Kind
				says    string
				maybe   bool
			}{
				{"refused", func() { p.Answer(whole, `{"Error":"no way"}`) }, cnm.Internal, `the plugin says "no way"`, false},
				{"refused as Err", func() { p.Answer(whole, `{"Err":"no way"}`) }, cnm.Internal, `the plugin says "no way"`, false},
				{"refused 500", func() { p.AnswerStatus(whole, 500, `{"Err":"no way"}`) }, cnm.Internal, `the plugin says "no way"`, false},
				{"no method", func() { p.AnswerStatus(whole, 404, ``) }, cnm.Unsupported, `no such method`, false},
				{"hangs", func() { p.Hang(whole) }, cnm.Timeout, "no answer within", true},
				{"garbage", func() { p.Answer(whole, "<html>") }, cnm.Internal, "protocol", true},
				{"breaks", func() { p.Break(whole) }, cnm.Unavailable, "", true},
			} {
				way.prepare()
				p.Restart()
				p.Calls()
				m := map[cnm.Kind]*remote.IPAM{cnm.Timeout: hasty, cnm.Unavailable: impatient, cnm.Internal: patient, cnm.Unsupported: patient}[way.kind]
				err := calls(m)[name](t.Context())
				if name == "GetCapabilities" && !way.maybe {
					if err != nil {
						t.Errorf("%s: %s: error %v, want no needs", name, way.name, err)
					}
					continue
				}
				if !errors.Is(err, way.kind) || !strings.Contains(err.Error(), way.says) || !strings.HasPrefix(err.Error(), `plugin "infra": `) || plugin.MayHaveHappened(err) != way.maybe && way.name != "breaks" {
					t.Errorf("%s: %s: error %v, want kind %q and the words %q", name, way.name, err, way.kind, way.says)
				}
				if got := p.Methods(); way.name == "breaks" && repeated[name] != (len(got) > 1) {
					t.Errorf("%s: broken: asked for %q", name, got)
				}
			}
			p.Stop()
			want := map[bool]cnm.Kind{true: cnm.NotFound, false: cnm.Unavailable}[!strings.HasPrefix(name, "Release") && name != "RequestAddress"]
			if err := calls(impatient)[name](t.Context()); !errors.Is(err, want) {
				t.Errorf("%s: no plugin: error %v, want kind %q", name, err, want)
			}
		})
	}
	methods.Wait()
}

func TestAddressSpaces(t *testing.T) {
	p, m := start(t)
	for answer, bad := range map[string]bool{
		`{}`: false, `{"LocalDefaultAddressSpace":"a b"}`: false, `{"LocalDefaultAddressSpace":"a\nb"}`: true,
		`{"GlobalDefaultAddressSpace":"` + strings.Repeat("x", 1025) + `"}`: true,
	} {
		p.Answer("IpamDriver.GetDefaultAddressSpaces", answer)
		if _, _, err := m.AddressSpaces(t.Context()); bad != errors.Is(err, cnm.Internal) || !bad && err != nil {
			t.Errorf("%.60s: error %v", answer, err)
		}
	}
}

func TestPools(t *testing.T) {
	p, m := start(t)
	const release = "IpamDriver.ReleasePool"
	for name, test := range map[string]struct {
		request cnm.PoolRequest
		answer  string
		want    string // the pool
		gateway string
		says    string // if it is refused
		back    bool   // it is given back
	}{
		"any":                   {answer: `{"PoolID":"p","Pool":"10.1.0.0/16"}`, want: "10.1.0.0/16"},
		"bits beyond":           {answer: `{"PoolID":"p","Pool":"10.1.2.3/16"}`, want: "10.1.0.0/16"},
		"all addresses":         {answer: `{"PoolID":"p","Pool":"0.0.0.0/0"}`, want: "0.0.0.0/0"},
		"all again":             {request: cnm.PoolRequest{Pool: prefix("0.0.0.0/0")}, answer: `{"PoolID":"p","Pool":"0.0.0.0/0"}`, want: "0.0.0.0/0"},
		"IPv6":                  {request: cnm.PoolRequest{IPv6: true}, answer: `{"PoolID":"p","Pool":"fd00::/64"}`, want: "fd00::/64"},
		"as asked":              {request: cnm.PoolRequest{Pool: prefix("10.2.0.0/16")}, answer: `{"PoolID":"p","Pool":"10.2.0.0/16"}`, want: "10.2.0.0/16"},
		"of a length":           {request: cnm.PoolRequest{Pool: prefix("0.0.0.0/24")}, answer: `{"PoolID":"p","Pool":"10.2.3.0/24"}`, want: "10.2.3.0/24"},
		"gateway":               {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"10.1.0.9/16"}}`, want: "10.1.0.0/16", gateway: "10.1.0.9/16"},
		"gateway, no length":    {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"10.1.0.9"}}`, want: "10.1.0.0/16", gateway: "10.1.0.9/16"},
		"gateway of none":       {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"0.0.0.0/0"}}`, want: "10.1.0.0/16", gateway: "0.0.0.0/0"},
		"gateway of none, bare": {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"0.0.0.0"}}`, want: "10.1.0.0/16", gateway: "0.0.0.0/0"},
		"gateway of other IP":   {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"::/0"}}`, says: "gateway", back: true},
		"gateway elsewhere":     {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"10.2.0.9/16"}}`, says: "gateway", back: true},
		"gateway of more":       {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"10.1.0.9/8"}}`, says: "gateway", back: true},
		"no gateway":            {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"com.docker.network.gateway":"x"}}`, says: "gateway", back: true},
		"no id":                 {answer: `{"Pool":"10.1.0.0/16"}`, says: "is no id"},
		"a long id":             {answer: `{"PoolID":"` + strings.Repeat("x", 1025) + `","Pool":"10.1.0.0/16"}`, says: "is no id"},
		"a line in an id":       {answer: `{"PoolID":"a\nb","Pool":"10.1.0.0/16"}`, says: "is no id"},
		"no pool":               {answer: `{"PoolID":"p"}`, says: "CIDR form", back: true},
		"no length":             {answer: `{"PoolID":"p","Pool":"10.1.0.0"}`, says: "CIDR form", back: true},
		"mapped":                {request: cnm.PoolRequest{IPv6: true}, answer: `{"PoolID":"p","Pool":"::ffff:10.1.0.0/112"}`, says: "CIDR form", back: true},
		"IPv6 for IPv4":         {answer: `{"PoolID":"p","Pool":"fd00::/64"}`, says: "other version", back: true},
		"IPv4 for IPv6":         {request: cnm.PoolRequest{IPv6: true}, answer: `{"PoolID":"p","Pool":"10.1.0.0/16"}`, says: "other version", back: true},
		"loopback":              {answer: `{"PoolID":"p","Pool":"127.0.0.0/8"}`, says: "no network can have it", back: true},
		"multicast":             {answer: `{"PoolID":"p","Pool":"224.0.0.0/4"}`, says: "no network can have it", back: true},
		"another":               {request: cnm.PoolRequest{Pool: prefix("10.2.0.0/16")}, answer: `{"PoolID":"p","Pool":"10.3.0.0/16"}`, says: "another was asked for", back: true},
		"a part":                {request: cnm.PoolRequest{Pool: prefix("10.2.0.0/16")}, answer: `{"PoolID":"p","Pool":"10.2.0.0/24"}`, says: "another was asked for", back: true},
		"of another length":     {request: cnm.PoolRequest{Pool: prefix("0.0.0.0/24")}, answer: `{"PoolID":"p","Pool":"10.2.0.0/16"}`, says: "length asked for is 24", back: true},
		"data of another type":  {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"a":1}}`, says: "cannot be read"},
		"long data":             {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{"a":"` + strings.Repeat("x", 4097) + `"}}`, says: "longer than 4096", back: true},
		"many data":             {answer: `{"PoolID":"p","Pool":"10.1.0.0/16","Data":{` + manyData(65) + `}}`, says: "65 data", back: true},
	} {
		t.Run(name, func(t *testing.T) {
			p.Answer("IpamDriver.RequestPool", test.answer)
			p.Calls()
			pool, err := m.RequestPool(t.Context(), test.request)
			if test.says == "" {
				if err != nil || pool.ID != "p" || pool.Prefix != prefix(test.want) || pool.Meta["com.docker.network.gateway"] != test.gateway {
					t.Errorf("pool %+v, %v", pool, err)
				}
			} else if !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 400 || plugin.MayHaveHappened(err) == test.back {
				t.Errorf("error %v, want the words %q", err, test.says)
			}
			want := []string{"IpamDriver.RequestPool"}
			if test.back {
				want = append(want, release)
			}
			if diff := cmp.Diff(want, p.Methods()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func manyData(count int) string {
	items := make([]string, count)
	for i := range items {
		items[i] = fmt.Sprintf(`"%d":""`, i)
	}
	return strings.Join(items, ",")
}

// offer has the plugin offer pools, one after the other.
func offer(p *plugintest.Plugin, pools ...string) {
	next := 0
	p.Handle("IpamDriver.RequestPool", func(w http.ResponseWriter, _ plugintest.Call) {
		text := pools[min(next, len(pools)-1)]
		next++
		id, pool, _ := strings.Cut(text, "=")
		answer, err := json.Marshal(map[string]string{"PoolID": id, "Pool": pool})
		if err == nil {
			_, err = w.Write(answer)
		}
		if err != nil {
			panic(err)
		}
	})
}

func TestAvoid(t *testing.T) {
	p, m := start(t)
	avoid := []netip.Prefix{prefix("10.1.0.0/16"), prefix("10.2.3.0/24"), prefix("192.168.0.0/16")}
	ask := func(request cnm.PoolRequest) (cnm.Pool, []string, error) {
		t.Helper()
		p.Calls()
		request.Avoid = avoid
		pool, err := m.RequestPool(t.Context(), request)
		var released []string
		requests := 0
		for _, c := range p.Calls() {
			if c.Method == "IpamDriver.RequestPool" {
				requests++
				continue
			}
			released = append(released, c.Body)
		}
		return pool, append([]string{fmt.Sprint(requests)}, released...), err
	}

	offer(p, "a=10.1.0.0/16", "b=10.2.0.0/16", "c=10.3.0.0/16")
	pool, did, err := ask(cnm.PoolRequest{})
	if err != nil || pool.ID != "c" {
		t.Errorf("pool %+v, %v", pool, err)
	}
	if diff := cmp.Diff([]string{"3", `{"PoolID":"a"}`, `{"PoolID":"b"}`}, did); diff != "" {
		t.Error(diff)
	}

	offer(p, "a=10.1.0.0/16")
	if pool, did, err = ask(cnm.PoolRequest{Pool: prefix("10.1.0.0/16")}); err != nil || pool.ID != "a" || len(did) != 1 {
		t.Errorf("one that was chosen: pool %+v, %v, %q", pool, err, did)
	}
	if _, did, err = ask(cnm.PoolRequest{}); !errors.Is(err, cnm.Exhausted) || !strings.Contains(err.Error(), `offers subnet "10.1.0.0/16" again`) || len(did) != 2 {
		t.Errorf("the same again: error %v, %q", err, did)
	}
	offer(p, "a=10.1.0.0/16", "a=10.9.0.0/16")
	if _, did, err = ask(cnm.PoolRequest{}); !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), "two subnets") || len(did) != 2 {
		t.Errorf("the same id: error %v, %q", err, did)
	}
	offer(p, "a=10.1.0.0/16", "b=10.9.0.0")
	if _, did, err = ask(cnm.PoolRequest{}); !errors.Is(err, cnm.Internal) || len(did) != 3 {
		t.Errorf("nonsense after an overlap: error %v, %q", err, did)
	}
	offer(p, "n=0.0.0.0/0")
	if pool, _, err = ask(cnm.PoolRequest{}); err != nil || pool.ID != "n" {
		t.Errorf("all addresses: pool %+v, %v", pool, err)
	}

	var endless []string
	for i := range 100 {
		endless = append(endless, fmt.Sprintf("%d=192.168.%d.0/24", i, i))
	}
	offer(p, endless...)
	if _, did, err = ask(cnm.PoolRequest{}); !errors.Is(err, cnm.Exhausted) || !strings.Contains(err.Error(), "64 subnets") || did[0] != "64" || len(did) != 65 {
		t.Errorf("error %v, %d answers", err, len(did))
	}
	p.Answer("IpamDriver.ReleasePool", `{"Error":"stuck"}`)
	offer(p, "a=10.1.0.0/16", "c=10.3.0.0/16")
	if pool, did, err = ask(cnm.PoolRequest{}); err != nil || pool.ID != "c" || len(did) != 2 {
		t.Errorf("a release that fails: pool %+v, %v, %q", pool, err, did)
	}
	offer(p, "a=10.1.0.0/16")
	if _, _, err = ask(cnm.PoolRequest{}); !errors.Is(err, cnm.Exhausted) || !strings.Contains(err.Error(), "stuck") {
		t.Errorf("error %v", err)
	}
}

func TestAddresses(t *testing.T) {
	p, m := start(t)
	m.Restore(cnm.Pool{ID: "four", Prefix: prefix("10.1.0.0/16")})
	m.Restore(cnm.Pool{ID: "six", Prefix: prefix("fd00::/64")})
	m.Restore(cnm.Pool{ID: "all", Prefix: prefix("0.0.0.0/0")})
	for name, test := range map[string]struct {
		pool, asked, answer string
		want                string // empty: no address
		says                string
		back                string // the address that is given back
	}{
		"any":               {pool: "four", answer: `{"Address":"10.1.0.7/16"}`, want: "10.1.0.7/16"},
		"one for itself":    {pool: "four", answer: `{"Address":"10.1.0.7/32"}`, want: "10.1.0.7/32"},
		"as asked":          {pool: "four", asked: "10.1.0.8", answer: `{"Address":"10.1.0.8/16"}`, want: "10.1.0.8/16"},
		"IPv6":              {pool: "six", answer: `{"Address":"fd00::7/64"}`, want: "fd00::7/64"},
		"unknown pool":      {pool: "x", answer: `{"Address":"10.9.0.7/16"}`, want: "10.9.0.7/16"},
		"none":              {pool: "all", answer: `{}`},
		"none of many":      {pool: "four", answer: `{}`, says: "there is no address"},
		"none as asked":     {pool: "all", asked: "10.1.0.8", answer: `{}`, says: "there is no address"},
		"another":           {pool: "four", asked: "10.1.0.8", answer: `{"Address":"10.1.0.9/16"}`, says: "another was asked for", back: "10.1.0.9"},
		"of another pool":   {pool: "four", answer: `{"Address":"10.2.0.9/16"}`, says: "is not in the subnet", back: "10.2.0.9"},
		"of other IP":       {pool: "four", answer: `{"Address":"fd00::9/64"}`, says: "is not in the subnet", back: "fd00::9"},
		"of a large subnet": {pool: "four", answer: `{"Address":"10.1.0.9/8"}`, says: "is not in the subnet", back: "10.1.0.9"},
		"loopback":          {pool: "x", answer: `{"Address":"127.0.0.1/8"}`, says: "no single host", back: "127.0.0.1"},
		"multicast":         {pool: "x", answer: `{"Address":"ff02::1/64"}`, says: "no single host", back: "ff02::1"},
		"length 0":          {pool: "all", answer: `{"Address":"10.0.0.1/0"}`, says: "no single host", back: "10.0.0.1"},
		"no length":         {pool: "four", answer: `{"Address":"10.1.0.7"}`, says: "CIDR form"},
		"nonsense":          {pool: "four", answer: `{"Address":"` + strings.Repeat("x", 1000) + `"}`, says: "CIDR form"},
		"a zone":            {pool: "x", answer: `{"Address":"fe80::1%eth0/64"}`, says: "CIDR form"},
		"mapped":            {pool: "four", answer: `{"Address":"::ffff:10.1.0.7/112"}`, says: "CIDR form", back: "::ffff:10.1.0.7"},
		"many data":         {pool: "four", answer: `{"Address":"10.1.0.7/16","Data":{` + manyData(65) + `}}`, says: "65 data", back: "10.1.0.7"},
	} {
		t.Run(name, func(t *testing.T) {
			p.Answer("IpamDriver.RequestAddress", test.answer)
			p.Calls()
			request := cnm.AddressRequest{PoolID: test.pool}
			if test.asked != "" {
				request.Address = addr(test.asked)
			}
			granted, err := m.RequestAddress(t.Context(), request)
			switch {
			case test.says != "":
				if !errors.Is(err, cnm.Internal) || !strings.Contains(err.Error(), test.says) || len(err.Error()) > 400 {
					t.Errorf("error %v, want the words %q", err, test.says)
				}
			case err != nil || granted.Prefix.IsValid() != (test.want != "") || test.want != "" && granted.Prefix != prefix(test.want):
				t.Errorf("address %+v, %v", granted, err)
			}
			var back []string
			for _, c := range p.Calls() {
				if c.Method == "IpamDriver.ReleaseAddress" {
					back = append(back, c.Body)
				}
			}
			var want []string
			if test.back != "" {
				want = []string{fmt.Sprintf(`{"PoolID":%q,"Address":%q}`, test.pool, test.back)}
			}
			if diff := cmp.Diff(want, back); diff != "" {
				t.Error(diff)
			}
		})
	}
	// The plugin restarts between two requests, and the manager goes on.
	p.Handle("IpamDriver.RequestAddress", func(w http.ResponseWriter, _ plugintest.Call) { _, _ = io.WriteString(w, `{"Address":"10.1.0.7/16"}`) })
	p.Restart()
	if _, err := m.RequestAddress(t.Context(), cnm.AddressRequest{PoolID: "four"}); err != nil {
		t.Error(err)
	}
}
