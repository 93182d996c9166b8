package conntrack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestScratch(t *testing.T) {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	exec.Command("ip", "link", "set", "lo", "up").Run()
	run := func(in string) string {
		c := exec.Command("conntrack", "-R", "-")
		c.Stdin = strings.NewReader(in)
		out, err := c.CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		return string(out)
	}
	list := func() string { o, _ := exec.Command("conntrack", "-L", "-o", "extended").Output(); return string(o) }
	c, err := Dial()
	if err != nil {
		t.Fatal(err)
	}
	flush := func(f []byte) error {
		var r error
		m := append(newMessage(messageDelete, 0, false), f...)
		err := c.execute([][]byte{m}, func([]byte) {}, func(_ int, err error) { r = err })
		if err != nil {
			return err
		}
		return r
	}
	filter := func(o, r tuple, status uint32) []byte {
		var f, out []byte
		if o.flags() != 0 {
			f = appendAttribute(f, filterOriginal, binary.NativeEndian.AppendUint32(nil, o.flags()))
			out = appendNested(out, attributeOriginal, o.encode())
		}
		if r.flags() != 0 {
			f = appendAttribute(f, filterReply, binary.NativeEndian.AppendUint32(nil, r.flags()))
			out = appendNested(out, attributeReply, r.encode())
		}
		out = appendNested(out, attributeFilter, f)
		if status != 0 {
			out = appendAttribute(out, 3, binary.BigEndian.AppendUint32(nil, status))
			out = appendAttribute(out, 26, binary.BigEndian.AppendUint32(nil, status))
		}
		return out
	}
	a := netip.MustParseAddr
	// sctp
	exec.Command("sh", "-c", "conntrack -I -p sctp -s 1.2.3.4 -d 5.6.7.8 --sport 1 --dport 2 -t 100 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 --dst-nat 10.0.0.2;"+
		"conntrack -I -p sctp -s 1.2.3.4 -d 5.6.7.8 --sport 1 --dport 3 -t 100 --state ESTABLISHED --orig-vtag 1 --reply-vtag 2 --dst-nat 10.0.0.2").Run()
	fmt.Println(list())
	fmt.Println("sctp flush", flush(filter(tuple{protocol: 132, destinationPort: 2}, tuple{source: a("10.0.0.2")}, 0)))
	fmt.Println(list())
	for _, n := range []int{0, 1, 10, 1000, 50000} {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "-I -p udp -s 1.2.%d.%d -d 5.6.7.8 --sport 1 --dport 2 -t 100 --dst-nat 10.0.0.2:80\n", i/250, i%250)
		}
		if n > 0 {
			run(b.String())
		}
		for _, what := range []string{"flush", "dump", "dumpall"} {
			var best, sum time.Duration = time.Hour, 0
			for range 10 {
				start := time.Now()
				var err error
				switch what {
				case "flush":
					err = flush(filter(tuple{protocol: 17, destinationPort: 3}, tuple{source: a("10.0.0.2"), protocol: 17}, 0x20))
				case "dump":
					err = c.dump(append(newMessage(messageGet, 0, false), filter(tuple{protocol: 17, destinationPort: 3}, tuple{source: a("10.0.0.2")}, 0x20)...), func([]byte) error { panic("x") })
				default:
					err = c.dump(newMessage(messageGet, 0, false), func(body []byte) error { _, err := parseEntry(body); return err })
				}
				d := time.Since(start)
				sum += d
				best = min(best, d)
				if err != nil {
					t.Fatal(err)
				}
			}
			fmt.Println(n, what, "best", best, "mean", sum/10)
		}
		start := time.Now()
		fmt.Println("flush all", flush(filter(tuple{protocol: 17, destinationPort: 2}, tuple{source: a("10.0.0.2"), protocol: 17}, 0x20)), time.Since(start))
		n, err := c.Count(t.Context())
		fmt.Println("left", n, err)
	}
}
