package kernel

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/docker/libnetwork/netstate"
)

func TestAtLeast(t *testing.T) {
	for release, want := range map[string]bool{
		"5.18.0": true, "5.18": true, "6.1.0-18-amd64": true, "10.0": true,
		"5.17.9": false, "4.19.0": false, "5.4-rc1": false, "": false, "next": false,
	} {
		if got := atLeast(release, 5, 18); got != want {
			t.Errorf("%q: got %v, want %v", release, got, want)
		}
	}
}

// The frames as RFC 5227, RFC 4861 and RFC 2464 lay them out; the checksum was
// worked out by other means.
func TestFrames(t *testing.T) {
	mac := netstate.MAC{0x02, 0, 0, 0, 0, 0x0a}
	arp := arpAnnouncement(mac, netip.MustParseAddr("192.0.2.10"))
	const wantARP = "ffffffffffff" + "02000000000a" + "0806" +
		"0001" + "0800" + "06" + "04" + "0001" +
		"02000000000a" + "c000020a" + "000000000000" + "c000020a"
	if got := hex.EncodeToString(arp); got != wantARP {
		t.Errorf("ARP: got\n%s, want\n%s", got, wantARP)
	}
	na := neighborAdvertisement(mac, netip.MustParseAddr("2001:db8::a"))
	const wantNA = "333300000001" + "02000000000a" + "86dd" +
		"60000000" + "0020" + "3a" + "ff" +
		"20010db800000000000000000000000a" + "ff020000000000000000000000000001" +
		"88" + "00" + "f90f" + "20000000" + "20010db800000000000000000000000a" +
		"02" + "01" + "02000000000a"
	if got := hex.EncodeToString(na); got != wantNA {
		t.Errorf("advertisement: got\n%s, want\n%s", got, wantNA)
	}
}
