package networkdb

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/networkdb"
	"github.com/docker/libnetwork/networkdb/diagnostic"
)

// nodeSettings, in the environment, makes the test program a node.
const nodeSettings = "LIBNETWORK_TEST_NETWORKDB_NODE"

// settings are those of a node.
type settings struct {
	Name, Address string
	Keys          []string // in hexadecimal
}

// port is where nodes answer diagnosing requests, on loopback.
const port = 2000

func TestMain(m *testing.M) {
	if text := os.Getenv(nodeSettings); text != "" {
		if err := beNode(text, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "node:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	kerneltest.Main(m)
}

// beNode runs a node until the input ends. A line of it is what to do with a key, and the
// key; a line of the output answers.
func beNode(text string, in io.Reader, out io.Writer) error {
	var s settings
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return err
	}
	config := networkdb.Config{
		NodeID: s.Name, BindAddr: s.Address,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	}
	for _, k := range s.Keys {
		key, err := hex.DecodeString(k)
		if err != nil {
			return err
		}
		config.Keys = append(config.Keys, key)
	}
	db, err := networkdb.New(config)
	if err != nil {
		return err
	}
	defer db.Close()
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	server := &http.Server{Handler: diagnostic.Handler(db), ReadHeaderTimeout: 5 * time.Second}
	go server.Serve(listener) //nolint:errcheck // ends with the process
	defer server.Close()      //nolint:errcheck // so does this
	if _, err := fmt.Fprintln(out, "ready"); err != nil {
		return err
	}
	commands := map[string]func([]byte) error{"set": db.SetKey, "primary": db.SetPrimaryKey, "remove": db.RemoveKey}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		verb, text, _ := strings.Cut(lines.Text(), " ")
		key, err := hex.DecodeString(text)
		if err == nil && commands[verb] != nil {
			err = commands[verb](key)
		}
		answer := "ok"
		if err != nil {
			answer = err.Error()
		}
		if _, err := fmt.Fprintln(out, answer); err != nil {
			return err
		}
	}
	return nil
}
