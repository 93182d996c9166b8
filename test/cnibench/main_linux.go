// Command cnibench measures what attaching a container takes, by the plugin dnet-cni, by
// the reference plugins bridge, host-local and portmap, and by netavark, as far as they are
// installed. Each works on a host of its own, a network namespace that ends with the
// program, and their turns alternate, so that all have the same weather.
//
// What is measured is the whole of what a runtime waits for: from the start of the first
// process to the end of the last. Run it with scripts/bench-cni, which builds the plugin as
// it is released.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/kernel/netns"
)

func main() {
	plugin := flag.String("plugin", "bin/dnet-cni", "the plugin's program")
	plugins := flag.String("reference", "/usr/lib/cni", "the folder with the reference plugins")
	netavark := flag.String("netavark", "/usr/lib/podman/netavark", "the program netavark")
	daemon := flag.String("dnet", "", "the program dnet; with it the plugin is also measured with the daemon")
	rounds := flag.Int("rounds", 25, "how many containers each attaches, one by one")
	held := flag.Int("held", 0, "how many containers each has before")
	ports := flag.Int("ports", 1, "how many ports each container publishes")
	pause := flag.Duration("pause", 100*time.Millisecond, "how long the machine rests before each container that is attached or detached one by one")
	data := flag.String("data", "/var/tmp", "a folder on a disk, for records")
	flag.Parse()
	if err := kerneltest.Enter(); err != nil {
		fatal(err)
	}
	folder, err := os.MkdirTemp(*data, "cnibench")
	if err != nil {
		fatal(err)
	}
	b := &bench{folder: folder, ports: *ports, pause: *pause, reference: *plugins}
	defer os.RemoveAll(folder) //nolint:errcheck // temporary
	b.add("dnet-cni", *plugin, ours{program: *plugin, data: filepath.Join(folder, "ours")})
	if *daemon != "" {
		b.addDaemon(*plugin, *daemon)
	}
	b.add("bridge, host-local, portmap", filepath.Join(*plugins, "bridge"), reference{*plugins})
	b.add("netavark", *netavark, avark{*netavark})
	if err := b.run(*rounds, *held); err != nil {
		b.stop()
		fatal(err)
	}
	b.print(*rounds, *held)
	b.stop()
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "cnibench:", err)
	os.Exit(1)
}

// peer attaches and detaches containers; number tells them apart.
type peer interface {
	attach(b *bench, number int, namespace string) error
	detach(b *bench, number int, namespace string) error
}

// contender is a peer on its host.
type contender struct {
	name, host string
	peer
	attached, detached []time.Duration
	parallel           time.Duration
	// busy is the processor time of all attachments and detachments one by one.
	busy time.Duration
}

// bench is one run.
type bench struct {
	folder, reference string
	ports             int
	// pause stands before each measurement: the kernel is still busy with the namespace of
	// the one before, and holds its lock for links meanwhile.
	pause      time.Duration
	contenders []*contender
	// cpu is the processor time of all processes so far, in nanoseconds.
	cpu   atomic.Int64
	stops []func()
}

// add takes a peer if its program is there.
func (b *bench) add(name, program string, p peer) *contender {
	if _, err := os.Stat(program); err != nil {
		fmt.Printf("%s: left out, there is no %s\n", name, program)
		return nil
	}
	host := filepath.Join("/run", fmt.Sprintf("host%d", len(b.contenders)))
	if err := netns.Create(host, loopbackUp); err != nil {
		fatal(err)
	}
	c := &contender{name: name, host: host, peer: p}
	b.contenders = append(b.contenders, c)
	return c
}

func (b *bench) stop() {
	for _, stop := range b.stops {
		stop()
	}
}

// workers attach at the same time in the last part.
const workers = 8

func (b *bench) run(rounds, held int) error {
	for _, c := range b.contenders {
		// The first makes the network.
		for i := range held + 1 {
			if _, err := b.one(c, i+1, true); err != nil {
				return err
			}
		}
	}
	for i := range rounds {
		for _, c := range b.contenders {
			number, before := held+2+i%100, b.cpu.Load()
			time.Sleep(b.pause)
			took, err := b.one(c, number, true)
			if err != nil {
				return err
			}
			c.attached = append(c.attached, took)
			time.Sleep(b.pause)
			if took, err = b.one(c, number, false); err != nil {
				return err
			}
			c.detached = append(c.detached, took)
			c.busy += time.Duration(b.cpu.Load() - before)
		}
	}
	for _, c := range b.contenders {
		if err := b.together(c, held); err != nil {
			return err
		}
	}
	return nil
}

// together attaches from several processes at a time.
func (b *bench) together(c *contender, held int) error {
	var group sync.WaitGroup
	errs := make([]error, workers)
	const each = 4
	begin := time.Now()
	for w := range workers {
		group.Go(func() {
			for i := range each {
				if _, err := b.one(c, held+200+w*each+i, true); err != nil {
					errs[w] = err
				}
			}
		})
	}
	group.Wait()
	c.parallel = time.Since(begin) / (workers * each)
	for w := range workers {
		for i := range each {
			if _, err := b.one(c, held+200+w*each+i, false); err != nil {
				errs = append(errs, err)
			}
		}
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return errs[i]
	}
	return nil
}

// one attaches a container in a namespace that was made for it beforehand, or detaches it
// and removes its namespace afterwards.
func (b *bench) one(c *contender, number int, attach bool) (time.Duration, error) {
	namespace := c.host + fmt.Sprintf("-%d", number)
	if attach {
		if err := netns.Create(namespace, loopbackUp); err != nil {
			return 0, err
		}
	}
	var took time.Duration
	err := kerneltest.Do(c.host, func() error {
		begin := time.Now()
		defer func() { took = time.Since(begin) }()
		if attach {
			return c.attach(b, number, namespace)
		}
		return c.detach(b, number, namespace)
	})
	if err != nil {
		return 0, fmt.Errorf("%s: container %d: %w", c.name, number, err)
	}
	if !attach {
		return took, netns.Delete(namespace)
	}
	return took, nil
}

func loopbackUp() error { return nil }

func (b *bench) print(rounds, held int) {
	fmt.Printf("%d containers one by one, %d there before, %d published ports each; medians in ms\n\n", rounds, held, b.ports)
	fmt.Printf("| %-28s | ADD | (least) | DEL | (least) | ADD, %d at once | CPU of both |\n|---|---|---|---|---|---|---|\n", "", workers)
	for _, c := range b.contenders {
		slices.Sort(c.attached)
		slices.Sort(c.detached)
		fmt.Printf("| %-28s | %s | %s | %s | %s | %s | %s |\n", c.name, ms(c.attached[len(c.attached)/2]), ms(c.attached[0]),
			ms(c.detached[len(c.detached)/2]), ms(c.detached[0]), ms(c.parallel), ms(c.busy/time.Duration(rounds)))
	}
	first := b.contenders[0]
	fmt.Println()
	for _, c := range b.contenders[1:] {
		fmt.Printf("%s takes %.1f times as long for ADD, %.1f times for DEL, %.1f times for ADD at once, %.1f times the processor\n", c.name,
			ratio(c.attached, first.attached), ratio(c.detached, first.detached), float64(c.parallel)/float64(first.parallel), float64(c.busy)/float64(first.busy))
	}
}

func ratio(a, b []time.Duration) float64 { return float64(a[len(a)/2]) / float64(b[len(b)/2]) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
