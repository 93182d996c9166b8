package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/datastore/bolt"
	"github.com/docker/libnetwork/datastore/storetest"
)

// writerFile, in the environment, makes this binary a process that writes batches
// into that file until it is killed.
const writerFile = "LIBNETWORK_BOLT_WRITER"

func TestMain(m *testing.M) {
	if path := os.Getenv(writerFile); path != "" {
		writeForEver(path)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, path string) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	paths := make(map[cnm.Store]string)
	storetest.Run(t, storetest.Factory{
		Open: func(t testing.TB) cnm.Store {
			path := filepath.Join(t.TempDir(), "data", "kv.db")
			s := open(t, path)
			paths[s] = path
			return s
		},
		Reopen: func(t testing.TB, s cnm.Store) cnm.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, paths[s])
		},
	})
}

func wantError(t *testing.T, err error, kind cnm.Kind, words ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Fatalf("error %v, want kind %q", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func TestFileInUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	open(t, path)
	start := time.Now()
	_, err := bolt.Open(path, bolt.Options{LockTimeout: 100 * time.Millisecond})
	wantError(t, err, cnm.Unavailable, path, "another process")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %v to say so", took)
	}
}

func TestDamagedFile(t *testing.T) {
	good := filepath.Join(t.TempDir(), "kv.db")
	s := open(t, good)
	for i := range 200 {
		err := s.Update(t.Context(), func(tx cnm.Tx) error {
			return tx.Put(fmt.Sprintf("network/%03d", i), bytes.Repeat([]byte("x"), 1500))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	damage := map[string][]byte{
		"text":      []byte("not a store\n"),
		"zeros":     make([]byte, 64<<10),
		"cut short": content[:64<<10], // the file has room to grow: what counts is in its first half megabyte
		"no metas":  append(bytes.Repeat([]byte{0xa5}, 8192), content[8192:]...),
		"all pages": append(bytes.Clone(content[:8192]), bytes.Repeat([]byte{0xff}, len(content)-8192)...),
	}
	for name, bad := range damage {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "kv.db")
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := bolt.Open(path, bolt.Options{LockTimeout: 100 * time.Millisecond})
			wantError(t, err, cnm.Internal, path, "damaged", "aside")
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(bad, after) {
				t.Errorf("the file was changed, or cannot be read: %v", err)
			}
		})
	}
}

func TestNoPermission(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := bolt.Open(filepath.Join(folder, "kv.db"), bolt.Options{}); err == nil {
		t.Error("a file served as a folder")
	}
}

// A process that is killed in the middle of a commit leaves all of a batch or none.
func TestKilledWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.db")
	open(t, path).Close() //nolint:errcheck // closed again at the end
	last := 0
	for round := range 10 {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), writerFile+"="+path)
		out, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		// One byte a commit: after some of them, in the middle of another.
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round) * 3 * time.Millisecond)
		if err := command.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = command.Wait()
		s := open(t, path)
		var values []string
		err = s.View(t.Context(), func(tx cnm.Tx) error {
			entries, err := tx.List("part/")
			for _, e := range entries {
				values = append(values, string(e.Value))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(values) != 5 {
			t.Fatalf("a batch of 5 has %d parts", len(values))
		}
		for _, value := range values {
			if value != values[0] {
				t.Fatalf("a batch is mixed: %q", values)
			}
		}
		var now int
		if _, err := fmt.Sscan(values[0], &now); err != nil || now < last {
			t.Fatalf("batch %q after batch %d", values[0], last)
		}
		last = now
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d batches were committed", last)
}

func writeForEver(path string) {
	s, err := bolt.Open(path, bolt.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		err := s.Update(context.Background(), func(tx cnm.Tx) error {
			n := 0
			if old, err := tx.Get("part/0"); err == nil {
				if _, err := fmt.Sscan(string(old), &n); err != nil {
					return err
				}
			}
			for i := range 5 {
				if err := tx.Put(fmt.Sprintf("part/%d", i), fmt.Append(nil, n+1)); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Print(".")
	}
}

// BenchmarkCommit is what an operation of the controller costs in the store.
func BenchmarkCommit(b *testing.B) {
	for _, present := range []int{0, 1000, 10000} {
		b.Run(fmt.Sprintf("present=%d", present), func(b *testing.B) {
			s := open(b, filepath.Join(b.TempDir(), "kv.db"))
			value := bytes.Repeat([]byte("x"), 1500)
			err := s.Update(b.Context(), func(tx cnm.Tx) error {
				for i := range present {
					if err := tx.Put(fmt.Sprintf("endpoint/%x", i*7919), value); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				i++
				if err := s.Update(b.Context(), func(tx cnm.Tx) error { return tx.Put(fmt.Sprintf("endpoint/%x", i%100), value) }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
