package kernel

import (
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/netns"
	"github.com/docker/libnetwork/kernel/rtnl"
	"github.com/docker/libnetwork/kernel/sysctl"
)

// space is one namespace with what is kept open in it. Each user acquires it, and
// the last to release it closes it: a descriptor that were closed under somebody's
// hands could come to stand for another namespace.
type space struct {
	name      string // as in netstate: empty is the host
	namespace *netns.Namespace
	conn      *rtnl.Conn
	sysctls   *sysctl.Dir
	identity  identity

	users  atomic.Int64
	closed func() // called when it has been closed
}

// identity tells namespaces apart, whatever paths they are pinned at. The kernel does
// not give the number of one that is held open to another.
type identity struct{ device, inode uint64 }

func identify(path string) (identity, error) {
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return identity{}, err
	}
	return identity{stat.Dev, stat.Ino}, nil
}

func openSpace(name, path string) (*space, error) {
	namespace, err := netns.Open(path)
	if err != nil {
		return nil, err
	}
	s := &space{name: name}
	err = namespace.Do(func() error { return s.furnish(namespace) })
	if err != nil {
		return nil, errors.Join(err, namespace.Close())
	}
	return s, nil
}

// furnish opens what is kept, on a thread in the namespace. On success the
// namespace's descriptor is the space's.
func (s *space) furnish(namespace *netns.Namespace) error {
	var stat unix.Stat_t
	if err := unix.Fstat(namespace.FD(), &stat); err != nil {
		return errno.Wrap(fmt.Sprintf("namespace %q", s.name), err)
	}
	conn, err := rtnl.Dial()
	if err != nil {
		return err
	}
	s.identity = identity{stat.Dev, stat.Ino}
	s.namespace, s.conn, s.sysctls = namespace, conn, sysctl.New(namespace.Do)
	return nil
}

// acquire is for who has the space already, or holds the lock of the table that it
// is in.
func (s *space) acquire() { s.users.Add(1) }

func (s *space) release() {
	if s.users.Add(-1) == 0 {
		s.close()
		s.closed()
	}
}

// close closes all; errors of closing sockets that nothing was lost on say nothing.
func (s *space) close() {
	_ = s.conn.Close()
	_ = s.sysctls.Close()
	_ = s.namespace.Close()
}
