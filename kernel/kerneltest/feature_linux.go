package kerneltest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// NeedFeature skips a test that needs what this kernel lacks, and says what. It finds
// out by making the thing in a namespace of its own; an error that says anything but
// "I do not know that" fails the test. The rig in test/guest reads the reason and runs
// the test in a kernel that has the feature, where skipping is an error.
//
// Without root it skips as RequireRoot does.
func NeedFeature(t testing.TB, features ...Feature) {
	t.Helper()
	RequireRoot(t)
	var missing []Feature
	for _, f := range features {
		present, err := HasFeature(f)
		if err != nil {
			t.Fatal(err)
		}
		if !present {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		t.Skip(needsLine(missing))
	}
}

// HasFeature reports whether this kernel has the feature, or loads it when asked. An
// error means that it cannot be told. It needs root.
func HasFeature(f Feature) (bool, error) {
	probe := f.probe()
	if probe == nil {
		return false, fmt.Errorf("look for kernel feature %s: nobody knows how", f)
	}
	result := make(chan error, 1)
	go func() {
		// Never unlocked: the thread ends with the goroutine, and the namespace with it.
		runtime.LockOSThread()
		result <- inNewNamespace(probe)
	}()
	err := <-result
	// How the kernel says that it does not know a kind of link, a queue or an action, a
	// protocol, or a cipher.
	for _, unknown := range []error{unix.EOPNOTSUPP, unix.ENOENT, unix.EPROTONOSUPPORT, unix.ENOSYS} {
		if errors.Is(err, unknown) {
			return false, nil
		}
	}
	if err != nil {
		return false, fmt.Errorf("look for kernel feature %s: %w", f, err)
	}
	return true, nil
}

// inNewNamespace takes the calling thread into a new namespace, where there is a pair
// of links, and leaves it there.
func inNewNamespace(probe func(h *netlink.Handle, parent netlink.LinkAttrs) error) error {
	if unix.Gettid() == unix.Getpid() {
		// The first thread's namespace is what others see as that of the process.
		result := make(chan error, 1)
		go func() {
			runtime.LockOSThread()
			result <- inNewNamespace(probe)
		}()
		defer runtime.UnlockOSThread()
		return <-result
	}
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("make a namespace: %w", err)
	}
	h, err := netlink.NewHandle(unix.NETLINK_ROUTE, unix.NETLINK_XFRM, unix.NETLINK_GENERIC)
	if err != nil {
		return err
	}
	defer h.Close()
	pair := netlink.NewLinkAttrs()
	pair.Name = "parent"
	if err := h.LinkAdd(&netlink.Veth{LinkAttrs: pair, PeerName: "peer"}); err != nil {
		return fmt.Errorf("make a pair of links: %v", err) //nolint:errorlint // what the pair lacks is not what is looked for
	}
	parent, err := h.LinkByName(pair.Name)
	if err != nil {
		return fmt.Errorf("find the pair of links: %v", err) //nolint:errorlint // what the pair lacks is not what is looked for
	}
	return probe(h, *parent.Attrs())
}

// probe returns what makes the thing; nil for what is no feature.
func (f Feature) probe() func(h *netlink.Handle, parent netlink.LinkAttrs) error {
	switch f {
	case FeatureESP:
		return probeESP
	case FeatureMirred:
		return probeMirred
	case FeatureIPVS:
		return func(h *netlink.Handle, _ netlink.LinkAttrs) error {
			_, err := h.GenlFamilyGet("IPVS")
			return err
		}
	case FeatureNetem, FeatureTBF, FeatureHTB:
		return func(h *netlink.Handle, parent netlink.LinkAttrs) error { return h.QdiscAdd(f.qdisc(parent.Index)) }
	case FeatureMacvlan, FeatureIPvlan, FeatureDummy, FeatureVLAN, FeatureWireGuard, FeatureIFB:
		return func(h *netlink.Handle, parent netlink.LinkAttrs) error { return h.LinkAdd(f.link(parent.Index)) }
	default:
		return nil
	}
}

func (f Feature) link(parent int) netlink.Link {
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "probe"
	switch f {
	case FeatureDummy:
		return &netlink.Dummy{LinkAttrs: attributes}
	case FeatureWireGuard:
		return &netlink.Wireguard{LinkAttrs: attributes}
	case FeatureIFB:
		return &netlink.Ifb{LinkAttrs: attributes}
	}
	attributes.ParentIndex = parent
	switch f {
	case FeatureMacvlan:
		return &netlink.Macvlan{LinkAttrs: attributes, Mode: netlink.MACVLAN_MODE_BRIDGE}
	case FeatureIPvlan:
		return &netlink.IPVlan{LinkAttrs: attributes, Mode: netlink.IPVLAN_MODE_L2}
	default:
		return &netlink.Vlan{LinkAttrs: attributes, VlanId: 1}
	}
}

func (f Feature) qdisc(link int) netlink.Qdisc {
	attributes := netlink.QdiscAttrs{LinkIndex: link, Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT}
	switch f {
	case FeatureNetem:
		return netlink.NewNetem(attributes, netlink.NetemQdiscAttrs{Latency: 1})
	case FeatureTBF:
		return &netlink.Tbf{QdiscAttrs: attributes, Rate: 125_000, Limit: 10_000, Buffer: 10_000}
	default:
		return netlink.NewHtb(attributes)
	}
}

// probeESP also finds out whether the cipher is there.
func probeESP(h *netlink.Handle, _ netlink.LinkAttrs) error {
	return h.XfrmStateAdd(&netlink.XfrmState{
		Src: net.IPv4(192, 0, 2, 1), Dst: net.IPv4(192, 0, 2, 2),
		Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT, Spi: 1,
		// A key of 128 bits and a salt of 32 (RFC 4106); check values of 64 bits.
		Aead: &netlink.XfrmStateAlgo{Name: "rfc4106(gcm(aes))", Key: bytes.Repeat([]byte{1}, 20), ICVLen: 64},
	})
}

func probeMirred(h *netlink.Handle, parent netlink.LinkAttrs) error {
	ingress := netlink.QdiscAttrs{LinkIndex: parent.Index, Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_INGRESS}
	if err := h.QdiscAdd(&netlink.Ingress{QdiscAttrs: ingress}); err != nil {
		return err
	}
	return h.FilterAdd(&netlink.MatchAll{
		FilterAttrs: netlink.FilterAttrs{LinkIndex: parent.Index, Parent: ingress.Handle, Priority: 1, Protocol: unix.ETH_P_ALL},
		Actions:     []netlink.Action{netlink.NewMirredAction(parent.Index)},
	})
}
