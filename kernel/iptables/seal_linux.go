package iptables

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
	"github.com/docker/libnetwork/kernel/nftevents"
)

// seal tells, without a process, whether others changed our tables.
type seal interface {
	// broken returns how many changes by others were seen up to now.
	broken() int
	// use says that there are chains of ours in a family.
	use(family)
	// ours is called when one of our processes has changed something.
	ours()
	close() error
}

// inspect forgets what the kernel is thought to hold if others changed it.
func (f *Filter) inspect() error {
	if f.seal == nil {
		err := f.inside(func() (err error) {
			f.seal, err = f.newSeal()
			return err
		})
		if err != nil {
			return errno.Wrap("look for changes", err)
		}
	}
	if n := f.seal.broken(); n != f.seen {
		f.seen = n
		clear(f.states)
	}
	return nil
}

// newSeal must be called on a thread in the namespace.
func (f *Filter) newSeal() (seal, error) {
	if f.variant == VariantLegacy {
		return newSizeSeal()
	}
	fd, err := nftevents.Socket(sealBuffer)
	if err != nil {
		return nil, err
	}
	return &eventSeal{fd: fd, buffer: make([]byte, 64<<10), foreign: f.foreign}, nil
}

// sealBuffer has room for the events of a thousand rules or so, in bytes. If more are
// lost, what the kernel holds is read again.
const sealBuffer = 1 << 20

// eventSeal has a socket that gets the events of nf_tables. What a process does is
// reported before it ends.
type eventSeal struct {
	fd      int
	buffer  []byte
	foreign func(nftevents.Message) bool
	count   int
}

func (s *eventSeal) broken() int {
	for {
		n, _, err := unix.Recvfrom(s.fd, s.buffer, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return s.count
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS):
			s.count++
		case err != nil:
			s.count++
			return s.count
		case nftevents.Any(s.buffer[:n], s.foreign):
			s.count++
		}
	}
}

func (s *eventSeal) use(family) {}

// ours reads the events while the process is still known as ours.
func (s *eventSeal) ours() { s.broken() }

func (s *eventSeal) close() error { return unix.Close(s.fd) }
