package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/docker/libnetwork/client"
)

// object is what is written as a JSON object.
type object = map[string]any

// spent notes the processor time of a process that has ended, with those that it waited for.
func (b *bench) spent(p *os.ProcessState) { b.cpu.Add(int64(p.UserTime() + p.SystemTime())) }

// call runs a plugin, as libcni does.
func (b *bench) call(program, command string, number int, namespace string, configuration object) ([]byte, error) {
	text, err := json.Marshal(configuration)
	if err != nil {
		return nil, err
	}
	c := exec.Command(program)
	c.Stdin = bytes.NewReader(text)
	c.Env = append(os.Environ(), "CNI_COMMAND="+command, fmt.Sprintf("CNI_CONTAINERID=container%d", number),
		"CNI_NETNS="+namespace, "CNI_IFNAME=eth0", "CNI_PATH="+filepath.Dir(program))
	var complaints bytes.Buffer
	c.Stderr = &complaints
	out, err := c.Output()
	if c.ProcessState != nil {
		b.spent(c.ProcessState)
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s%s", filepath.Base(program), command, err, out, complaints.String())
	}
	return out, nil
}

// mappings publish ports that no other container has.
func (b *bench) mappings(number int) []object {
	out := []object{}
	for i := range b.ports {
		out = append(out, object{"hostPort": 10000 + number*b.ports + i, "containerPort": 80 + i, "protocol": "tcp"})
	}
	return out
}

// ours is dnet-cni, without a daemon or with it.
type ours struct{ program, data, socket string }

func (o ours) configuration(b *bench, number int) object {
	out := object{
		"cniVersion": "1.0.0", "name": "bench", "type": "dnet-cni", "subnet": "10.71.0.0/16",
		"runtimeConfig": object{"portMappings": b.mappings(number)},
	}
	if o.socket != "" {
		out["socket"] = o.socket
	} else {
		out["dataDir"], out["execRoot"] = o.data, o.data+"-run"
	}
	return out
}

func (o ours) attach(b *bench, number int, namespace string) error {
	_, err := b.call(o.program, "ADD", number, namespace, o.configuration(b, number))
	return err
}

func (o ours) detach(b *bench, number int, namespace string) error {
	_, err := b.call(o.program, "DEL", number, namespace, o.configuration(b, number))
	return err
}

// addDaemon starts dnet on the contender's host.
func (b *bench) addDaemon(plugin, program string) {
	folder := filepath.Join(b.folder, "daemon")
	socket := filepath.Join(folder, "s")
	c := b.add("dnet-cni with the daemon", plugin, ours{program: plugin, socket: socket})
	if c == nil {
		return
	}
	file := filepath.Join(b.folder, "libnetwork.toml")
	text := fmt.Sprintf("[daemon]\nhostnamespace = %q\ndatadir = %q\nexecroot = %q\n", c.host, folder, "/run/bench-dnet")
	if err := errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
		fatal(err)
	}
	d := exec.Command(program, "daemon", "-c", file, "-H", "unix://"+socket)
	d.Stderr = os.Stderr
	if err := d.Start(); err != nil {
		fatal(err)
	}
	b.stops = append(b.stops, func() { _, _ = d.Process.Signal(os.Interrupt), d.Wait() })
	asked, err := client.New("unix://" + socket)
	if err != nil {
		fatal(err)
	}
	defer asked.Close()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err = asked.Version(context.Background()); err == nil || time.Now().After(end) {
			break
		}
	}
	if err != nil {
		b.stop()
		fatal(err)
	}
}

// reference is the plugins bridge, host-local and portmap, in a chain.
type reference struct{ folder string }

func (r reference) configurations(b *bench, number int) (bridge, portmap object) {
	bridge = object{
		"cniVersion": "1.0.0", "name": "bench", "type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true,
		"ipam": object{"type": "host-local", "dataDir": "/run/host-local", "routes": []object{{"dst": "0.0.0.0/0"}}, "ranges": [][]object{{{"subnet": "10.72.0.0/16"}}}},
	}
	portmap = object{
		"cniVersion": "1.0.0", "name": "bench", "type": "portmap", "snat": true, "capabilities": object{"portMappings": true},
		"runtimeConfig": object{"portMappings": b.mappings(number)},
	}
	return bridge, portmap
}

func (r reference) attach(b *bench, number int, namespace string) error {
	bridge, portmap := r.configurations(b, number)
	out, err := b.call(filepath.Join(r.folder, "bridge"), "ADD", number, namespace, bridge)
	if err != nil || b.ports == 0 {
		return err
	}
	portmap["prevResult"] = json.RawMessage(out)
	if out, err = b.call(filepath.Join(r.folder, "portmap"), "ADD", number, namespace, portmap); err != nil {
		return err
	}
	return os.WriteFile(namespace+".result", out, 0o600)
}

func (r reference) detach(b *bench, number int, namespace string) error {
	bridge, portmap := r.configurations(b, number)
	if b.ports > 0 {
		out, err := os.ReadFile(namespace + ".result")
		if err != nil {
			return err
		}
		portmap["prevResult"], bridge["prevResult"] = json.RawMessage(out), json.RawMessage(out)
		if _, err := b.call(filepath.Join(r.folder, "portmap"), "DEL", number, namespace, portmap); err != nil {
			return err
		}
	}
	_, err := b.call(filepath.Join(r.folder, "bridge"), "DEL", number, namespace, bridge)
	return err
}

// avark is netavark, which is told the address.
type avark struct{ program string }

func (a avark) run(b *bench, verb string, number int, namespace string) error {
	var ports []object
	for _, m := range b.mappings(number) {
		ports = append(ports, object{"host_ip": "", "container_port": m["containerPort"], "host_port": m["hostPort"], "range": 1, "protocol": "tcp"})
	}
	id := fmt.Sprintf("%064d", number)
	text, err := json.Marshal(object{
		"container_id": id, "container_name": "c" + id[50:], "port_mappings": ports,
		"networks": object{"bench": object{"interface_name": "eth0", "static_ips": []string{fmt.Sprintf("10.73.%d.%d", number/250, number%250+2)}}},
		"network_info": object{"bench": object{
			"name": "bench", "id": fmt.Sprintf("%064d", 7), "driver": "bridge", "network_interface": "podman1", "internal": false,
			"ipv6_enabled": false, "dns_enabled": false, "subnets": []object{{"subnet": "10.73.0.0/16", "gateway": "10.73.0.1"}},
			"ipam_options": object{"driver": "host-local"},
		}},
	})
	if err != nil {
		return err
	}
	c := exec.Command(a.program, "--config", "/run/netavark", verb, namespace)
	c.Stdin = bytes.NewReader(text)
	out, err := c.CombinedOutput()
	if c.ProcessState != nil {
		b.spent(c.ProcessState)
	}
	if err != nil {
		return fmt.Errorf("netavark %s: %w: %s", verb, err, out)
	}
	return nil
}

func (a avark) attach(b *bench, number int, namespace string) error {
	return a.run(b, "setup", number, namespace)
}

func (a avark) detach(b *bench, number int, namespace string) error {
	return a.run(b, "teardown", number, namespace)
}
