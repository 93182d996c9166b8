package iptables

import (
	"context"
	"errors"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/kernel/errno"
)

// pollEvery is how often the older interface is looked at: it reports nothing by itself.
const pollEvery = 250 * time.Millisecond

// watchSizes is Watch for the older interface.
func (f *Filter) watchSizes(ctx context.Context, notify, done func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.inside(f.polls.open); err != nil {
		return errno.Wrap("iptables: watch", err)
	}
	seen := f.polls.foreign
	go func() {
		defer done()
		ticker := time.NewTicker(pollEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			if now := f.foreign(); now != seen {
				seen = now
				notify()
			}
		}
	}()
	return nil
}

// foreign looks, and returns how many changes by others were seen up to now.
func (f *Filter) foreign() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.polls.look()
	return f.polls.foreign
}

// polls tells changes of the older interface's tables by their sizes. One that leaves all
// of them as they were, such as a rule in another's place, is not seen.
type polls struct {
	sockets map[bool]int // by whether it is IPv6; nil while nobody watches
	// used are the families that were seen to have our chains. To look at a table makes
	// it: those that we do not use are left alone.
	used map[bool]bool
	last map[tableOf]tableInfo
	// foreign counts the changes by others.
	foreign int
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

// open must run on a thread in the namespace.
func (p *polls) open() error {
	if p.sockets != nil {
		return nil
	}
	sockets := make(map[bool]int)
	for six, domain := range map[bool]int{false: unix.AF_INET, true: unix.AF_INET6} {
		fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		if errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			p.sockets = sockets
			return errors.Join(err, p.close())
		}
		sockets[six] = fd
	}
	p.sockets = sockets
	p.forget()
	return nil
}

func (p *polls) close() error {
	var errs []error
	for _, fd := range p.sockets {
		errs = append(errs, unix.Close(fd))
	}
	p.sockets, p.last = nil, nil
	return errors.Join(errs...)
}

func (p *polls) use(f family) {
	if p.used == nil {
		p.used = make(map[bool]bool)
	}
	p.used[f.six] = true
}

// look counts a change by others since the last look.
func (p *polls) look() {
	now := p.read()
	for table, info := range now {
		if last, known := p.last[table]; known && last != info {
			p.foreign++
			break
		}
	}
	p.last = now
}

// forget takes what the tables are like now for our own doing.
func (p *polls) forget() { p.last = p.read() }

func (p *polls) read() map[tableOf]tableInfo {
	out := make(map[tableOf]tableInfo)
	for six, fd := range p.sockets {
		if !p.used[six] {
			continue
		}
		for _, table := range familyOf(six).tables() {
			out[tableOf{six, table}] = readInfo(fd, six, table)
		}
	}
	return out
}

// readInfo returns zero for a table that cannot be read.
func readInfo(fd int, six bool, table string) tableInfo {
	level := unix.SOL_IP
	if six {
		level = unix.SOL_IPV6
	}
	var info tableInfo
	copy(info.Name[:], table)
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), getInfo,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return tableInfo{}
	}
	return info
}
