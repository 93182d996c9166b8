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

// clients are real runtimes, which take time and Debian's packages podman, crun,
// containerd, runc and busybox-static, and crictl. With CNI_CLIENTS=1 they must be there.
func clients(t *testing.T, programs ...string) *machine {
	t.Helper()
	if os.Getenv("CNI_CLIENTS") == "" {
		t.Skip("this is a test of the long form: CNI_CLIENTS=1, with podman, crun, containerd, crictl, runc, curl and busybox installed")
	}
	for _, name := range programs {
		if _, err := exec.LookPath(name); err != nil {
			t.Fatal(err)
		}
	}
	return newMachine(t)
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
	m := clients(t)
	tool := filepath.Join(m.folder, "cnitool")
	c := exec.Command("go", "build", "-o", tool, "github.com/containernetworking/cni/cnitool")
	c.Dir = "../cnitool"
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	k := m.container()
	out := m.script(`
mkdir -p $LAB/net.d; echo "$CONF" >$LAB/net.d/blue.conflist
export CNI_PATH=$PLUGINS NETCONFPATH=$LAB/net.d
export CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}'
$LAB/cnitool status blue $NS
$LAB/cnitool add blue $NS
$LAB/cnitool check blue $NS
echo; nft list ruleset | grep -c 'publish tcp 0.0.0.0:8080'
$LAB/cnitool del blue $NS
$LAB/cnitool add blue $NS >/dev/null
$LAB/cnitool gc blue $NS
`, "NS="+k.netns)
	if !strings.Contains(out, `"10.20.0.2/16"`) || !strings.Contains(out, "\n1\n") {
		t.Errorf("cnitool says\n%s", out)
	}
}

// TestContainerd: its client ctr with --cni. The folder of plugins is compiled in, so it
// is put there in the mount namespace of the test.
func TestContainerd(t *testing.T) {
	m := clients(t, "containerd", "ctr", "runc", "busybox")
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

// TestKubernetes: the way of a kubelet, containerd's CRI service, driven by crictl. A pod is
// attached, has a published port, and is gone in the end with all that it had.
func TestKubernetes(t *testing.T) {
	m := clients(t, "containerd", "ctr", "crictl", "runc", "busybox", "curl")
	out := m.script(rootfs + image + `
mkdir -p $LAB/net.d $LAB/logs
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
crictl() { command crictl --runtime-endpoint unix:///run/cd.sock --image-endpoint unix:///run/cd.sock --timeout 30s "$@"; }
cat >$LAB/pod.json <<FILE
{"metadata": {"name": "web", "namespace": "default", "uid": "1"}, "hostname": "web", "log_directory": "$LAB/logs",
 "port_mappings": [{"protocol": 0, "container_port": 80, "host_port": 8080}], "linux": {}}
FILE
cat >$LAB/container.json <<FILE
{"metadata": {"name": "web"}, "image": {"image": "localhost/busybox:1"}, "log_path": "web.log", "linux": {},
 "command": ["sh", "-c", "mkdir -p /www; echo hello >/www/index.html; httpd -f -p 80 -h /www"]}
FILE
for round in 1 2; do
	pod=$(crictl runp $LAB/pod.json) || { tail -30 $LAB/log; exit 1; }
	container=$(crictl create $pod $LAB/container.json $LAB/pod.json)
	crictl start $container >/dev/null
	crictl inspectp $pod | grep '"ip"'
	for i in $(seq 50); do curl -s -m 2 http://127.0.0.1:8080/ && break; sleep 0.1; done
	crictl stopp $pod >/dev/null
	crictl rmp $pod >/dev/null
done
nft list ruleset | grep -c 'publish tcp' || true
ip -o link show type veth | wc -l
`)
	t.Log(strings.SplitN(out, "\n", 2)[0])
	if strings.Count(out, "hello") != 2 || strings.Count(out, `"ip": "10.20.0.2"`) != 2 || !strings.HasSuffix(out, "\n0\n0\n") {
		t.Errorf("containerd's pods say\n%s", out)
	}
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
	m := clients(t, "podman", "crun", "busybox", "curl")
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
	m := clients(t, "podman", "crun", "busybox", "curl")
	// The daemon must see the namespaces that podman mounts.
	d := m.withDaemon()
	d.stop()
	defer d.start()
	out := m.script(`
$DNET daemon -c $FILE -H unix://$SOCKET --no-default-network >$LAB/log 2>&1 &
for i in $(seq 100); do DNET_HOST=unix://$SOCKET $DNET version >/dev/null 2>&1 && break; sleep 0.1; done
`+podman+`
$P run --rm --network blue --rootfs $LAB/bb:O sh -c 'cat /etc/resolv.conf; wget -q -O - http://web/'
$P rm -f -t 1 web
`, "DNET="+d.Path, "FILE="+d.file, "SOCKET="+d.socket, "PUBLISH=", "URL=http://10.20.0.9/")
	if strings.Count(out, "hello") != 2 || !strings.Contains(out, "nameserver 127.0.0.11") {
		t.Errorf("podman's containers say\n%s", out)
	}
}
