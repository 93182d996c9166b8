// Package bolt is a store in one file, which one process at a time can open. A
// commit is on the disk when Update returns.
package bolt

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/docker/libnetwork/cnm"
)

// bucket holds all entries, as in the files of the first releases.
var bucket = []byte("libnetwork")

// mapSize is how much of the address space the file is given, in bytes. A file that
// outgrows its place is mapped anew, for which a commit waits until no View is open.
// It costs neither memory nor disk.
const mapSize = 64 << 20

// Options say how to open a file.
type Options struct {
	// LockTimeout is how long to wait for another process to close the file; zero
	// means one second.
	LockTimeout time.Duration
}

// Store implements cnm.Store.
type Store struct {
	path string
	db   *bbolt.DB

	mu     sync.RWMutex // guards closed, and holds Close off while a transaction runs
	closed bool
}

// Open opens or makes the file at path. A file that is in use is Unavailable, one
// that is damaged Internal, one that may not be written Forbidden; a damaged file is
// left as it is.
func Open(path string, options Options) (_ *Store, err error) {
	op := fmt.Sprintf("open store %q", path)
	defer recoverDamage(op, path, &err)
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, storeError(op, path, err)
	}
	// The list of free pages is kept in the file: without it bbolt would look for them
	// when opening, in a goroutine of its own, where a damaged page ends the process.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{
		Timeout: cmp.Or(options.LockTimeout, time.Second), FreelistType: bbolt.FreelistMapType,
		InitialMmapSize: mapSize,
	})
	if err != nil {
		return nil, storeError(op, path, err)
	}
	s := &Store{path: path, db: db}
	if err := s.begin(op); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// begin makes the bucket in a new file, and reads an old one from end to end, so
// that damage shows now and not in the middle of an operation.
func (s *Store) begin(op string) (err error) {
	defer recoverDamage(op, s.path, &err)
	fresh := false
	err = s.db.View(func(t *bbolt.Tx) error {
		info, err := os.Stat(s.path)
		if err != nil {
			return err
		}
		if info.Size() < t.Size() {
			return damaged(op, s.path, fmt.Sprintf("it has %d bytes of %d", info.Size(), t.Size()))
		}
		b := t.Bucket(bucket)
		if fresh = b == nil; fresh {
			return nil
		}
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
	if err == nil && fresh {
		err = s.db.Update(func(t *bbolt.Tx) error {
			_, err := t.CreateBucketIfNotExists(bucket)
			return err
		})
	}
	return storeError(op, s.path, err)
}

// recoverDamage turns a panic of bbolt, or a fault in reading its mapped file, into
// an error. Deferred by a function whose goroutine reads the file.
func recoverDamage(op, path string, err *error) {
	if r := recover(); r != nil {
		*err = damaged(op, path, fmt.Sprint(r))
	}
}

func damaged(op, path, what string) error {
	return cnm.E(op, cnm.Internal, fmt.Errorf(
		"the file is damaged (%s); it was left as it is: move %q aside to begin anew, or put a copy back", what, path))
}

// storeError classifies what bbolt and the file system return.
func storeError(op, path string, err error) error {
	var known *cnm.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.Is(err, bolterrors.ErrTimeout):
		return cnm.E(op, cnm.Unavailable, errors.New("another process has the file open; stop it, or use another data dir"))
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrVersionMismatch),
		strings.Contains(err.Error(), "file size too small"):
		return damaged(op, path, err.Error())
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return cnm.E(op, cnm.Forbidden, fmt.Errorf("%w; the data dir must be writable", err))
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return cnm.E(op, cnm.Exhausted, fmt.Errorf("%w; nothing was changed: free some space", err))
	}
	return cnm.E(op, cnm.Internal, err)
}

// View implements cnm.Store.
func (s *Store) View(ctx context.Context, fn func(cnm.Tx) error) error {
	return s.run(ctx, "read store", s.db.View, fn, false)
}

// Update implements cnm.Store.
func (s *Store) Update(ctx context.Context, fn func(cnm.Tx) error) error {
	return s.run(ctx, "write store", s.db.Update, fn, true)
}

// run runs fn in a transaction. The error of fn comes back as it is.
func (s *Store) run(ctx context.Context, op string, transaction func(func(*bbolt.Tx) error) error, fn func(cnm.Tx) error, writable bool) (err error) {
	if err := ctx.Err(); err != nil {
		return cnm.E(op, cnm.Timeout, err)
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return cnm.E(op, cnm.Unavailable, fmt.Errorf("store %q is closed", s.path))
	}
	var fnErr error
	t := &tx{writable: writable, reading: true}
	defer func() {
		// What fn itself panics with is not ours to turn into an error.
		if t.reading {
			if r := recover(); r != nil {
				err = damaged(op, s.path, fmt.Sprint(r))
			}
		}
	}()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	err = transaction(func(b *bbolt.Tx) error {
		t.bucket = b.Bucket(bucket)
		t.reading = false
		fnErr = fn(t)
		t.reading = true
		return fnErr
	})
	if fnErr != nil {
		return fnErr
	}
	return storeError(op, s.path, err)
}

// Close implements cnm.Store. It waits for transactions under way.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return storeError("close store", s.path, s.db.Close())
}

type tx struct {
	bucket   *bbolt.Bucket
	writable bool
	// reading is true while bbolt's code runs, so that a panic is known to be about
	// the file.
	reading bool
}

func (t *tx) Get(key string) ([]byte, error) {
	t.reading = true
	value := bytes.Clone(t.bucket.Get([]byte(key)))
	t.reading = false
	if value == nil {
		return nil, cnm.E("", cnm.NotFound, fmt.Errorf("key %q: not found", key))
	}
	return value, nil
}

func (t *tx) Put(key string, value []byte) error {
	if err := t.check(key); err != nil {
		return err
	}
	t.reading = true
	err := t.bucket.Put([]byte(key), append([]byte{}, value...))
	t.reading = false
	return err
}

func (t *tx) Delete(key string) error {
	if err := t.check(key); err != nil {
		return err
	}
	t.reading = true
	err := t.bucket.Delete([]byte(key))
	t.reading = false
	return err
}

func (t *tx) check(key string) error {
	switch {
	case !t.writable:
		return cnm.E("", cnm.Forbidden, fmt.Errorf("key %q: a view cannot write", key))
	case key == "":
		return cnm.E("", cnm.Invalid, errors.New("key: is empty"))
	}
	return nil
}

func (t *tx) List(prefix string) ([]cnm.KeyValue, error) {
	var out []cnm.KeyValue
	t.reading = true
	cursor := t.bucket.Cursor()
	for key, value := cursor.Seek([]byte(prefix)); key != nil && bytes.HasPrefix(key, []byte(prefix)); key, value = cursor.Next() {
		out = append(out, cnm.KeyValue{Key: string(key), Value: bytes.Clone(value)})
	}
	t.reading = false
	return out, nil
}
