package cni

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
)

// client returns a machine for a real runtime, whose programs must be there.
func client(t *testing.T, programs ...string) *machine {
	t.Helper()
	m := newMachine(t)
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatalf("%v; make test installs what the tests need", err)
		}
	}
	return m
}

// module builds the program of a nested module, beside which the tests are, and returns its
// path.
func (m *machine) module(folder, pkg string) string {
	m.t.Helper()
	path := filepath.Join(m.folder, filepath.Base(folder))
	c := exec.Command("go", "build", "-o", path, pkg)
	c.Dir = folder
	if out, err := c.CombinedOutput(); err != nil {
		m.t.Fatalf("build %s of %s, where there is no network (go mod download it first): %v: %s", pkg, folder, err, out)
	}
	return path
}

// script runs a shell script on the host, with processes and mounts of its own, with the plugin's folder and a place for data,
// and returns what it prints.
func (m *machine) script(text string, variables ...string) string {
	m.t.Helper()
	plugins := filepath.Join(m.folder, "plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		m.t.Fatal(err)
	}
	own := filepath.Join(plugins, "dnet-cni")
	if _, err := os.Lstat(own); err != nil {
		if err := os.Symlink(program(m.t, buildPlugin), own); err != nil {
			m.t.Fatal(err)
		}
	}
	// What it leaves running, and mounted, ends with it.
	c := exec.Command("unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-eu", "-c", text)
	c.Env = append(os.Environ(), append(variables, "LAB="+m.folder, "PLUGINS="+plugins, "CONF="+m.list())...)
	var out []byte
	err := kerneltest.Do(m.host, func() (err error) {
		out, err = c.CombinedOutput()
		return err
	})
	if err != nil {
		m.t.Fatalf("%v:\n%s", err, out)
	}
	return string(out)
}

// list is the configuration as that of a list with one plugin. Clients that do not know
// "cniVersions" take "cniVersion".
func (m *machine) list() string {
	plugin := []string{`"type": "dnet-cni"`}
	for _, name := range []string{"subnet", "dataDir", "execRoot", "socket"} {
		if value, ok := m.configuration[name]; ok {
			plugin = append(plugin, fmt.Sprintf("%q: %q", name, value))
		}
	}
	return `{"cniVersion": "1.0.0", "cniVersions": ["0.4.0", "1.0.0", "1.1.0"], "name": "blue", "plugins": [{` + strings.Join(plugin, ", ") +
		`, "capabilities": {"portMappings": true, "ips": true, "mac": true, "bandwidth": true, "dns": true, "aliases": true}}]}`
}

// rootfs makes a folder with busybox, for containers.
const rootfs = `
mkdir -p $LAB/bb/bin $LAB/bb/proc $LAB/bb/sys $LAB/bb/dev $LAB/bb/tmp $LAB/bb/etc $LAB/bb/run
cp "$(command -v busybox)" $LAB/bb/bin/busybox
for name in sh ip ping httpd wget nslookup mkdir cat sleep; do ln -sf busybox $LAB/bb/bin/$name; done
`

// TestCnitool: the specification's own client, of the nested module test/cnitool.
func TestCnitool(t *testing.T) {
	m := client(t)
	tool := m.module("../cnitool", "github.com/containernetworking/cni/cnitool")
	k := m.container()
	out := m.script(`
mkdir -p $LAB/net.d; echo "$CONF" >$LAB/net.d/blue.conflist
export CNI_PATH=$PLUGINS NETCONFPATH=$LAB/net.d
export CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}'
$TOOL status blue $NS
$TOOL add blue $NS
$TOOL check blue $NS
echo; nft list ruleset | grep -c 'publish tcp 0.0.0.0:8080'
$TOOL del blue $NS
$TOOL add blue $NS >/dev/null
$TOOL gc blue $NS
`, "TOOL="+tool, "NS="+k.netns)
	if !strings.Contains(out, `"10.20.0.2/16"`) || !strings.Contains(out, "\n1\n") {
		t.Errorf("cnitool says\n%s", out)
	}
}

// TestContainerd: its client ctr with --cni. The folder of plugins is compiled in, so it
// is put there in the mount namespace of the test.
func TestContainerd(t *testing.T) {
	m := client(t, "containerd", "ctr", "runc", "busybox")
	out := m.script(rootfs + `
mkdir -p $LAB/opt/cni /opt /etc/cni/net.d
ln -s $PLUGINS $LAB/opt/cni/bin
mount --bind $LAB/opt /opt
mount -t tmpfs tmpfs /etc/cni/net.d
echo "$CONF" >/etc/cni/net.d/10-blue.conflist
containerd --version
containerd --root $LAB/cd --state /run/cd --address /run/cd.sock >$LAB/log 2>&1 &
for i in $(seq 100); do ctr -a /run/cd.sock version >/dev/null 2>&1 && break; sleep 0.1; done
timeout 60 ctr -a /run/cd.sock run --rm --cni --env PATH=/bin --rootfs $LAB/bb one sh -c 'ip -4 addr; ping -c 1 -W 5 10.20.0.1; sleep 1'
`)
	t.Log(strings.SplitN(out, "\n", 2)[0])
	if !strings.Contains(out, "10.20.0.2/16") || !strings.Contains(out, "1 packets received") {
		t.Errorf("containerd's container says\n%s", out)
	}
}

// image makes a Docker archive of the folder, which any runtime can import.
const image = `
mkdir -p $LAB/image
tar -C $LAB/bb -cf $LAB/image/layer.tar .
layer=$(sha256sum $LAB/image/layer.tar | cut -d" " -f1)
echo '{"architecture": "amd64", "os": "linux", "config": {"Env": ["PATH=/bin"], "Cmd": ["sleep", "1000"]}, "rootfs": {"type": "layers", "diff_ids": ["sha256:'$layer'"]}}' >$LAB/image/config.json
echo '[{"Config": "config.json", "RepoTags": ["localhost/busybox:1"], "Layers": ["layer.tar"]}]' >$LAB/image/manifest.json
tar -C $LAB/image -cf $LAB/image.tar manifest.json config.json layer.tar
`

// pods runs a pod twice by containerd's CRI service.
const pods = rootfs + image + `
mkdir -p $LAB/net.d
echo "$CONF" >$LAB/net.d/10-blue.conflist
ln -s /usr/lib/cni/loopback $PLUGINS/loopback
cat >$LAB/containerd.toml <<FILE
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "localhost/busybox:1"
restrict_oom_score_adj = true
disable_cgroup = true
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "$PLUGINS"
conf_dir = "$LAB/net.d"
FILE
containerd --version
containerd --config $LAB/containerd.toml --root $LAB/cd --state /run/cd --address /run/cd.sock >$LAB/log 2>&1 &
for i in $(seq 100); do ctr -a /run/cd.sock version >/dev/null 2>&1 && break; sleep 0.1; done
ctr -a /run/cd.sock -n k8s.io images import --no-unpack $LAB/image.tar >/dev/null
for round in 1 2; do
	made=$($CRI /run/cd.sock run localhost/busybox:1 8080 sh -c 'mkdir -p /www; echo hello >/www/index.html; httpd -f -p 80 -h /www') || { tail -30 $LAB/log; exit 1; }
	echo "$made"
	for i in $(seq 50); do curl -s -m 2 http://127.0.0.1:8080/ && break; sleep 0.1; done
	$CRI /run/cd.sock remove ${made% *}
done
nft list ruleset | grep -c 'publish tcp' || true
ip -o link show type veth | wc -l
`

// TestKubernetes: the way of a kubelet, by the nested module test/cri. A pod is attached, has
// a published port, and is gone in the end with all that it had.
func TestKubernetes(t *testing.T) {
	m := client(t, "containerd", "ctr", "runc", "busybox", "curl")
	wantPods(t, m.script(pods, "CRI="+m.module("../cri", ".")))
}

// TestKubernetesByDaemon: the same with the daemon.
func TestKubernetesByDaemon(t *testing.T) {
	m := client(t, "containerd", "ctr", "runc", "busybox", "curl")
	// The daemon must see the namespaces that containerd mounts.
	d := m.withDaemon()
	d.stop()
	defer d.start()
	wantPods(t, m.script(daemonInside+pods, d.variables("CRI="+m.module("../cri", "."))...))
}

func wantPods(t *testing.T, out string) {
	t.Helper()
	t.Log(strings.SplitN(out, "\n", 2)[0])
	if strings.Count(out, "hello") != 2 || strings.Count(out, " 10.20.0.2\n") != 2 || !strings.HasSuffix(out, "\n0\n0\n") {
		t.Errorf("containerd's pods say\n%s", out)
	}
}

// daemonInside starts the daemon, which ends with the script.
const daemonInside = `
$DNET daemon -c $FILE -H unix://$SOCKET --no-default-network >$LAB/dnet.log 2>&1 &
for i in $(seq 100); do DNET_HOST=unix://$SOCKET $DNET version >/dev/null 2>&1 && break; sleep 0.1; done
`

// variables are those of daemonInside, and more.
func (d *daemon) variables(more ...string) []string {
	return append(more, "DNET="+d.Path, "FILE="+d.file, "SOCKET="+d.socket)
}

const podman = rootfs + `
umount /sys/fs/cgroup/unified 2>/dev/null || true
mkdir -p $LAB/net.d /run/lock
echo "$CONF" >$LAB/net.d/blue.conflist
cat >$LAB/containers.conf <<FILE
[engine]
cgroup_manager="cgroupfs"
events_logger="file"
runtime="crun"
[network]
network_backend="cni"
cni_plugin_dirs=["$PLUGINS", "/usr/lib/cni"]
network_config_dir="$LAB/net.d"
[containers]
default_ulimits=["nofile=1024:1024","nproc=4096:4096"]
log_driver="k8s-file"
FILE
export CONTAINERS_CONF=$LAB/containers.conf
P="podman --root $LAB/pd --runroot /run/pd --tmpdir /run/pd-tmp"
$P --version
$P run -d --name web --network blue $PUBLISH --ip 10.20.0.9 --rootfs $LAB/bb:O sh -c 'mkdir -p /www; echo hello >/www/index.html; httpd -f -p 80 -h /www' >/dev/null
for i in $(seq 50); do curl -s -m 2 $URL && break; sleep 0.1; done
`

// TestPodman: its CNI backend.
func TestPodman(t *testing.T) {
	m := client(t, "podman", "crun", "busybox", "curl")
	out := m.script(podman+`
$P run --rm --network blue --rootfs $LAB/bb:O sh -c 'wget -q -O - http://10.20.0.9/'
$P rm -f -t 1 web
`, "PUBLISH=-p 8090:80", "URL=http://127.0.0.1:8090/")
	t.Log(strings.SplitN(out, "\n", 2)[0])
	if strings.Count(out, "hello") != 2 {
		t.Errorf("podman's containers say\n%s", out)
	}
}

// TestPodmanByDaemon: with names, which the daemon answers. Nothing is published: podman
// wants to hold the host's ports itself, and so does the daemon.
func TestPodmanByDaemon(t *testing.T) {
	m := client(t, "podman", "crun", "busybox", "curl")
	// The daemon must see the namespaces that podman mounts.
	d := m.withDaemon()
	d.stop()
	defer d.start()
	out := m.script(daemonInside+podman+`
$P run --rm --network blue --rootfs $LAB/bb:O sh -c 'cat /etc/resolv.conf; wget -q -O - http://web/'
$P rm -f -t 1 web
`, d.variables("PUBLISH=", "URL=http://10.20.0.9/")...)
	if strings.Count(out, "hello") != 2 || !strings.Contains(out, "nameserver 127.0.0.11") {
		t.Errorf("podman's containers say\n%s", out)
	}
}
