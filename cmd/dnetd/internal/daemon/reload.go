package daemon

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"runtime/pprof"
	"strings"

	"github.com/docker/libnetwork/config"
	"github.com/docker/libnetwork/diag"
	"github.com/docker/libnetwork/internal/atomicfile"
)

// reload takes over what may change while the daemon runs: the level of the log, labels,
// and certificates. A file that is wrong changes nothing.
func (d *daemon) reload() {
	if err := d.notifier.reloading(); err != nil {
		d.log.Error("tell systemd", "error", err)
	}
	defer func() {
		if err := d.notifier.send("READY=1"); err != nil {
			d.log.Error("tell systemd", "error", err)
		}
	}()
	fresh, path, err := d.options.load()
	if err != nil {
		d.log.Error("reload: the configuration stays as it was", "error", err)
		return
	}
	certs, err := loadTLS(&fresh.Dnet)
	if err != nil {
		d.log.Error("reload: the configuration stays as it was", "error", err)
		return
	}
	had := d.certs.current.Load() != nil
	if had && certs != nil {
		d.certs.current.Store(certs)
	}
	if err := d.backend.Controller.ReloadConfiguration(config.OptionLabels(fresh.Daemon.Labels)); err != nil {
		d.log.Error("reload: labels", "error", err)
	}
	d.level.Set(logLevel(fresh))
	refused := unchangeable(d.config, fresh)
	if had != (certs != nil) {
		// Sockets do not begin or cease to use TLS.
		refused = append(refused, "dnet.tlscacert", "dnet.tlscert", "dnet.tlskey")
	}
	for _, key := range refused {
		d.log.Warn("reload: this changes at the next start only", "key", key)
	}
	d.log.Info("reloaded", "file", path)
}

// unchangeable names the settings that differ and need a restart.
func unchangeable(old, fresh *config.Config) []string {
	free := map[string]bool{"LogLevel": true, "TLSCACert": true, "TLSCert": true, "TLSKey": true, "Debug": true, "Labels": true}
	var keys []string
	for _, table := range []struct {
		name     string
		from, to reflect.Value
	}{
		{"daemon", reflect.ValueOf(old.Daemon), reflect.ValueOf(fresh.Daemon)},
		{"cluster", reflect.ValueOf(old.Cluster), reflect.ValueOf(fresh.Cluster)},
		{"orchestration", reflect.ValueOf(old.Orchestration), reflect.ValueOf(fresh.Orchestration)},
		{"dnet", reflect.ValueOf(old.Dnet), reflect.ValueOf(fresh.Dnet)},
	} {
		for i := range table.from.NumField() {
			name := table.from.Type().Field(i).Name
			if !free[name] && !reflect.DeepEqual(table.from.Field(i).Interface(), table.to.Field(i).Interface()) {
				keys = append(keys, table.name+"."+strings.ToLower(name))
			}
		}
	}
	if !reflect.DeepEqual(old.Scopes, fresh.Scopes) {
		keys = append(keys, "scopes")
	}
	return keys
}

// dump writes the records and all goroutines to a file that the log names.
func (d *daemon) dump() {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(diag.State(d.backend.Inspector)); err != nil {
		d.log.Error("dump the state", "error", err)
	}
	// 2 is the form of a panic, which says how long each has been waiting.
	if err := pprof.Lookup("goroutine").WriteTo(&out, 2); err != nil {
		d.log.Error("dump the goroutines", "error", err)
	}
	path := d.dumpPath()
	if err := os.MkdirAll(d.config.Daemon.ExecRoot, 0o755); err != nil {
		d.log.Error("dump", "error", err)
		return
	}
	if err := atomicfile.Write(path, out.Bytes(), 0o600); err != nil {
		d.log.Error("dump", "error", err)
		return
	}
	d.log.Info("dumped the state and all goroutines", "file", path)
}
