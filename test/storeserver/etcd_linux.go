package storeserver

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Etcd starts a server of etcd that is alone. Certificates, if not nil, make it ask for
// TLS and for the client's certificate.
func Etcd(t testing.TB, certificates *Certificates) *Server {
	t.Helper()
	return etcd(t, 1, certificates)[0]
}

// EtcdCluster starts a cluster of etcd.
func EtcdCluster(t testing.TB, members int) []*Server {
	t.Helper()
	return etcd(t, members, nil)
}

func etcd(t testing.TB, members int, certificates *Certificates) []*Server {
	t.Helper()
	binary := program(t, "etcd")
	ports := freePorts(t, 2*members)
	peer := func(i int) string { return "http://" + loopback(ports[2*i+1]) }
	var cluster []string
	for i := range members {
		cluster = append(cluster, fmt.Sprintf("m%d=%s", i, peer(i)))
	}
	scheme, client := "http://", &http.Client{Timeout: time.Second}
	var more []string
	if certificates != nil {
		scheme = "https://"
		client.Transport = &http.Transport{TLSClientConfig: certificates.Client(t)}
		more = []string{"--client-cert-auth", "--trusted-ca-file", certificates.Authority,
			"--cert-file", certificates.Certificate, "--key-file", certificates.Key}
	}
	servers := make([]*Server, members)
	for i := range servers {
		s := &Server{t: t, Address: loopback(ports[2*i]), program: binary, folder: folder(t)}
		s.args = append([]string{"--name", fmt.Sprintf("m%d", i), "--data-dir", filepath.Join(s.folder, "data"),
			"--listen-client-urls", scheme + s.Address, "--advertise-client-urls", scheme + s.Address,
			"--listen-peer-urls", peer(i), "--initial-advertise-peer-urls", peer(i),
			"--initial-cluster", strings.Join(cluster, ","), "--initial-cluster-state", "new",
			// A member that is paused or killed is to be missed soon.
			"--heartbeat-interval", "50", "--election-timeout", "500"}, more...)
		s.ready = func() error { return healthy(client, scheme+s.Address+"/health") }
		servers[i] = s
		s.begin()
		t.Cleanup(s.Kill)
	}
	for _, s := range servers {
		s.wait()
	}
	client.CloseIdleConnections()
	return servers
}

func healthy(client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close() //nolint:errcheck // the status is all that is wanted
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", response.Status)
	}
	return nil
}

// Leader returns the member of a cluster of etcd that leads it.
func Leader(t testing.TB, servers []*Server) *Server {
	t.Helper()
	deadline := time.Now().Add(startLimit)
	for time.Now().Before(deadline) {
		for _, s := range servers {
			if s.command != nil && leadsEtcd("http://"+s.Address+"/v3/maintenance/status") {
				return s
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("no member leads the cluster")
	return nil
}

func leadsEtcd(url string) bool {
	client := &http.Client{Timeout: time.Second}
	response, err := client.Post(url, "application/json", strings.NewReader("{}"))
	if err != nil {
		return false
	}
	defer response.Body.Close() //nolint:errcheck // was read
	var status struct {
		Header struct {
			Member string `json:"member_id"`
		} `json:"header"`
		Leader string `json:"leader"`
	}
	err = json.NewDecoder(response.Body).Decode(&status)
	return err == nil && status.Leader != "" && status.Leader == status.Header.Member
}
