package iptables

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"unsafe"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/docker/libnetwork/cnm"
	"github.com/docker/libnetwork/kernel/errno"
)

// Present reports whether there are chains of the instance, of the variant if the options
// name one, and of any otherwise. It starts no process and changes nothing. It must be
// called on a thread in the host's namespace.
func Present(options Options) (bool, error) {
	const op = "look for chains of iptables"
	if err := options.check(); err != nil {
		return false, cnm.E(op, cnm.Invalid, err)
	}
	for variant, look := range map[string]func(prefix string) (bool, error){VariantNFT: presentNFT, VariantLegacy: presentLegacy} {
		if options.Variant != "" && options.Variant != variant {
			continue
		}
		if found, err := look(options.prefix()); found || err != nil {
			return found, errno.Wrap(op, err)
		}
	}
	return false, nil
}

func presentNFT(prefix string) (bool, error) {
	conn, err := nftables.New()
	if err != nil {
		return false, err
	}
	for _, family := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		chains, err := conn.ListChainsOfTableFamily(family)
		// This is what a kernel says that has no netfilter, no nf_tables, or not the family.
		if errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EAFNOSUPPORT) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, c := range chains {
			if strings.HasPrefix(c.Name, prefix) {
				return true, nil
			}
		}
	}
	return false, nil
}

func presentLegacy(prefix string) (bool, error) {
	for _, six := range []bool{false, true} {
		list := "/proc/thread-self/net/ip_tables_names"
		if six {
			list = "/proc/thread-self/net/ip6_tables_names"
		}
		// Only the tables in use: to look at another would make it.
		names, err := os.ReadFile(list)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return false, err
		}
		for _, table := range strings.Fields(string(names)) {
			if found, err := inTable(six, table, prefix); found || err != nil {
				return found, err
			}
		}
	}
	return false, nil
}

// getEntries is IPT_SO_GET_ENTRIES, and IP6T_SO_GET_ENTRIES. What it reads begins with
// struct ipt_get_entries: the name of the table, and the size of the entries, which are
// aligned like their counters.
const (
	getEntries     = 65
	entriesSizeAt  = unix.IFNAMSIZ * 2
	entriesBeginAt = (entriesSizeAt + 4 + entriesAlign - 1) / entriesAlign * entriesAlign
	entriesAlign   = unsafe.Alignof(struct{ counter uint64 }{})
)

// inTable reports whether a table has a chain whose name starts with prefix. The names are
// in the entries as they are.
func inTable(six bool, table, prefix string) (bool, error) {
	fd, err := tableSocket(six)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd) //nolint:errcheck // read only
	for {
		info, err := readInfo(fd, six, table)
		if err != nil {
			return false, err
		}
		entries := make([]byte, entriesBeginAt+uintptr(info.Size))
		copy(entries, table)
		*(*uint32)(unsafe.Pointer(&entries[entriesSizeAt])) = info.Size
		err = getOption(fd, six, getEntries, unsafe.Pointer(&entries[0]), uintptr(len(entries)))
		if errors.Is(err, unix.EAGAIN) {
			continue // somebody changed it meanwhile
		}
		return err == nil && bytes.Contains(entries, []byte(prefix)), err
	}
}
