package firewalld_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/godbus/dbus/v5"

	"github.com/docker/libnetwork/kernel/firewalld"
)

const (
	service = "org.fedoraproject.FirewallD1"
	object  = "/org/fedoraproject/FirewallD1"
)

// peer plays firewalld on a real bus: well, but for the methods that it was told to fail
// or to hang.
type peer struct {
	conn *dbus.Conn

	mu     sync.Mutex // guards what follows
	calls  []string
	fails  map[string]*dbus.Error
	hangs  map[string]chan struct{}
	joined []string
	// A reload puts in force what is permanent.
	zones, permanentZones       []string
	policies, permanentPolicies []string
}

func newPeer(t testing.TB, b *bus) *peer {
	t.Helper()
	p := &peer{fails: make(map[string]*dbus.Error), hangs: make(map[string]chan struct{})}
	var err error
	p.conn, err = dbus.Connect(b.address)
	check(t, err)
	t.Cleanup(func() {
		p.release()
		check(t, p.conn.Close())
	})
	for path, methods := range p.methods() {
		for name, table := range methods {
			check(t, p.conn.ExportMethodTable(table, dbus.ObjectPath(path), name))
		}
	}
	return p
}

func (p *peer) methods() map[string]map[string]map[string]any {
	list := func(method string, names *[]string) func() ([]string, *dbus.Error) {
		return func() (got []string, err *dbus.Error) {
			err = p.do(method, func() { got = slices.Clone(*names) })
			return got, err
		}
	}
	add := func(method string, names *[]string) func(string, map[string]dbus.Variant) (dbus.ObjectPath, *dbus.Error) {
		return func(name string, _ map[string]dbus.Variant) (dbus.ObjectPath, *dbus.Error) {
			return object + "/config/1", p.do(method, func() { *names = append(*names, name) })
		}
	}
	move := func(method string, change func(link string)) func(string, string) (string, *dbus.Error) {
		return func(zone, link string) (string, *dbus.Error) {
			return zone, p.do(method, func() { change(link) })
		}
	}
	leave := func(link string) {
		p.joined = slices.DeleteFunc(p.joined, func(l string) bool { return l == link })
	}
	return map[string]map[string]map[string]any{
		object: {
			service: {"reload": func() *dbus.Error {
				err := p.do("reload", func() { p.zones, p.policies = slices.Clone(p.permanentZones), slices.Clone(p.permanentPolicies) })
				if err == nil {
					_ = p.conn.Emit(object, service+".Reloaded")
				}
				return err
			}},
			service + ".zone": {
				"getZones":              list("getZones", &p.zones),
				"changeZoneOfInterface": move("changeZoneOfInterface", func(link string) { leave(link); p.joined = append(p.joined, link) }),
				"removeInterface":       move("removeInterface", leave),
			},
			service + ".policy": {"getPolicies": list("getPolicies", &p.policies)},
		},
		object + "/config": {service + ".config": {
			"getZoneNames": list("getZoneNames", &p.permanentZones), "addZone2": add("addZone2", &p.permanentZones),
			"getPolicyNames": list("getPolicyNames", &p.permanentPolicies), "addPolicy": add("addPolicy", &p.permanentPolicies),
		}},
	}
}

// do runs a method as it was told to.
func (p *peer) do(method string, work func()) *dbus.Error {
	p.mu.Lock()
	p.calls = append(p.calls, method)
	hang := p.hangs[method]
	p.mu.Unlock()
	if hang != nil {
		<-hang
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.fails[method]; err != nil {
		return err
	}
	work()
	return nil
}

func (p *peer) appear(t testing.TB) {
	t.Helper()
	_, err := p.conn.RequestName(service, dbus.NameFlagDoNotQueue)
	check(t, err)
}

// prepare gives the peer what would need a reload.
func (p *peer) prepare() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.zones, p.permanentZones = []string{firewalld.Zone}, []string{firewalld.Zone}
	p.policies, p.permanentPolicies = []string{firewalld.Policy}, []string{firewalld.Policy}
}

// forget takes the zones out of force.
func (p *peer) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.zones = nil
}

func (p *peer) disappear(t testing.TB) {
	t.Helper()
	_, err := p.conn.ReleaseName(service)
	check(t, err)
}

func (p *peer) fail(method string, err *dbus.Error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fails[method] = err
}

func (p *peer) hang(method string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangs[method] = make(chan struct{})
}

// release lets the calls that hang go on.
func (p *peer) release() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, hang := range p.hangs {
		close(hang)
	}
	clear(p.hangs)
}

func (p *peer) count(method string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, call := range p.calls {
		if call == method {
			n++
		}
	}
	return n
}

func (p *peer) links() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(slices.Sorted(slices.Values(p.joined)), " ")
}

// refuse is an error of firewalld.
func refuse(text string) *dbus.Error {
	return dbus.NewError(service+".Exception", []any{text})
}
