package iptables

import (
	"context"
	"errors"
	"maps"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
)

// lookEvery is how often the older interface is looked at: it reports nothing by itself.
const lookEvery = 250 * time.Millisecond

// watchSizes is Watch for the older interface.
func (f *Filter) watchSizes(ctx context.Context, notify, done func()) error {
	seen, own, err := f.changes()
	if err != nil {
		return cnm.Wrap("iptables: watch", err)
	}
	go func() {
		defer done()
		ticker := time.NewTicker(lookEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			nowSeen, nowOwn, err := f.changes()
			if err != nil {
				continue
			}
			// What others did beside a change of ours passes for ours, by the size.
			if nowSeen != seen || nowOwn != own && !f.verify(ctx) {
				notify()
			}
			seen, own = nowSeen, nowOwn
		}
	}()
	return nil
}

// changes looks for changes by others, and returns how many were seen up to now, and how
// many were made by us.
func (f *Filter) changes() (seen, own int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	err = f.inspect()
	return f.seen, f.own, err
}

// verify reports whether the kernel holds what it was left with, as far as can be told.
func (f *Filter) verify(ctx context.Context) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, p := range f.families {
		if f.states[i] == nil {
			continue
		}
		s, err := f.load(ctx, p)
		if err == nil && (!s.whole || !maps.Equal(s.present, f.states[i].present)) {
			clear(f.states)
			return false
		}
	}
	return true
}

// sizeSeal tells changes of the older interface's tables by their sizes. One that leaves
// all of them as they were, such as a rule in another's place, is not seen.
type sizeSeal struct {
	sockets map[bool]int // by whether it is IPv6
	// used are the families that were seen to have our chains. To look at a table makes
	// it: those that we do not use are left alone.
	used  map[bool]bool
	last  map[tableOf]tableInfo
	count int
}

// tableOf is a table of a family.
type tableOf struct {
	six  bool
	name string
}

// tableInfo is what the kernel tells of a table (struct ipt_getinfo in
// include/uapi/linux/netfilter_ipv4/ip_tables.h; struct ip6t_getinfo is the same).
type tableInfo struct {
	Name                  [unix.IFNAMSIZ * 2]byte // XT_TABLE_MAXNAMELEN
	ValidHooks            uint32
	HookEntry, Underflow  [5]uint32 // NF_INET_NUMHOOKS
	NumberOfEntries, Size uint32
}

// getInfo is IPT_SO_GET_INFO, and IP6T_SO_GET_INFO.
const getInfo = 64

// newSizeSeal must be called on a thread in the namespace.
func newSizeSeal() (seal, error) {
	s := &sizeSeal{sockets: make(map[bool]int), used: make(map[bool]bool)}
	for _, six := range []bool{false, true} {
		fd, err := tableSocket(six)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.sockets[six] = fd
	}
	return s, nil
}

func (s *sizeSeal) close() error {
	var errs []error
	for _, fd := range s.sockets {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

func (s *sizeSeal) use(f family) {
	if !s.used[f.six] {
		s.used[f.six] = true
		s.ours()
	}
}

func (s *sizeSeal) broken() int {
	now := s.read()
	for table, info := range now {
		if last, known := s.last[table]; known && last != info {
			s.count++
			break
		}
	}
	s.last = now
	return s.count
}

func (s *sizeSeal) ours() { s.last = s.read() }

func (s *sizeSeal) read() map[tableOf]tableInfo {
	out := make(map[tableOf]tableInfo)
	for six, fd := range s.sockets {
		if !s.used[six] {
			continue
		}
		for _, table := range familyOf(six).tables() {
			// One that cannot be read is like one without rules.
			out[tableOf{six, table}], _ = readInfo(fd, six, table)
		}
	}
	return out
}

// tableSocket opens a socket in the namespace of the calling thread.
func tableSocket(six bool) (int, error) {
	domain := unix.AF_INET
	if six {
		domain = unix.AF_INET6
	}
	return unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
}

func readInfo(fd int, six bool, table string) (tableInfo, error) {
	var info tableInfo
	copy(info.Name[:], table)
	err := getOption(fd, six, getInfo, unsafe.Pointer(&info), unsafe.Sizeof(info))
	return info, err
}

// getOption reads what begins with the name of a table.
func getOption(fd int, six bool, option int, into unsafe.Pointer, length uintptr) error {
	level := unix.SOL_IP
	if six {
		level = unix.SOL_IPV6
	}
	size := uint32(length)
	_, _, number := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(into), uintptr(unsafe.Pointer(&size)), 0)
	if number != 0 {
		return number
	}
	return nil
}
