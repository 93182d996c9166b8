package storeserver

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// zookeeperJars is where Debian puts ZooKeeper and what it needs.
const zookeeperJars = "/usr/share/java/*"

// ZooKeeper starts a server of ZooKeeper that is alone.
func ZooKeeper(t testing.TB) *Server {
	t.Helper()
	java := program(t, "java")
	if _, err := os.Stat("/usr/share/java/zookeeper.jar"); err != nil {
		t.Fatalf("%v: run scripts/install-deps", err)
	}
	s := &Server{t: t, Address: loopback(freePorts(t, 1)[0]), program: java, folder: folder(t)}
	settings := filepath.Join(s.folder, "zoo.cfg")
	_, port, _ := strings.Cut(s.Address, ":")
	content := fmt.Sprintf("tickTime=200\nminSessionTimeout=400\ndataDir=%s\nclientPortAddress=127.0.0.1\nclientPort=%s\n"+
		"admin.enableServer=false\n4lw.commands.whitelist=ruok\n", filepath.Join(s.folder, "data"), port)
	if err := os.WriteFile(settings, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	s.args = []string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", zookeeperJars, "-Dzookeeper.log.dir=" + s.folder,
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", settings}
	s.ready = func() error {
		answer, err := answers(s.Address, "ruok")
		if err == nil && answer != "imok" {
			err = fmt.Errorf("it says %q", answer)
		}
		return err
	}
	s.begin()
	t.Cleanup(s.Kill)
	s.wait()
	return s
}
