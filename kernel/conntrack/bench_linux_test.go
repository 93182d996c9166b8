package conntrack_test

import (
	"fmt"
	"testing"

	"github.com/docker/libnetwork/kernel/conntrack"
)

// BenchmarkForget has tables in which there is nothing to find. "Narrow" is a dump with a
// filter and "whole" one without, which is what older kernels do.
func BenchmarkForget(b *testing.B) {
	var ports []conntrack.Publication
	var addresses []string
	for i := range 100 {
		ports = append(ports, parse(b, fmt.Sprintf("udp 0.0.0.0:%d to 172.18.0.2:53", 1000+i)))
		addresses = append(addresses, fmt.Sprintf("10.200.0.%d", i+1))
	}
	six := parse(b, "udp [::]:1000 to [fd00::2]:53")
	for _, entries := range []int{0, 10, 1000, 50000} {
		b.Run(fmt.Sprint("entries=", entries), func(b *testing.B) {
			s := newScratch(b)
			s.insert(many(entries)...)
			for _, bench := range []struct {
				name string
				age  conntrack.Age
				call call
			}{
				{"Removed/ports=1", conntrack.Present, removed(ports[0])},
				{"Removed/ports=1/narrow", conntrack.Old, removed(ports[0])},
				{"Removed/ports=1/whole", conntrack.Ancient, removed(ports[0])},
				{"Removed/ports=10", conntrack.Present, removed(ports[:10]...)},
				{"Removed/ports=100", conntrack.Present, removed(ports...)},
				{"Removed/IPv6", conntrack.Present, removed(six)},
				{"Added/ports=1", conntrack.Present, added(ports[0])},
				{"Added/ports=100", conntrack.Present, added(ports...)},
				{"Released/addresses=1", conntrack.Present, released(addresses[0])},
				{"Released/addresses=100", conntrack.Present, released(addresses...)},
			} {
				b.Run(bench.name, func(b *testing.B) {
					s.wire.Age = bench.age
					for b.Loop() {
						if _, err := bench.call(b.Context(), s.conn); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
			b.Run("Count", func(b *testing.B) {
				for b.Loop() {
					if _, err := s.conn.Count(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		})
	}
}

// BenchmarkDelete forgets all of a table of 10,000 entries, which is filled again each
// time.
func BenchmarkDelete(b *testing.B) {
	s := newScratch(b)
	entries := many(10000)
	port := removed(parse(b, "udp 0.0.0.0:99 to 172.18.0.9:99"))
	for name, age := range map[string]conntrack.Age{"filtered": conntrack.Present, "named": conntrack.Old} {
		b.Run(name, func(b *testing.B) {
			s.wire.Age = age
			for b.Loop() {
				b.StopTimer()
				s.insert(entries...)
				b.StartTimer()
				if n, err := port(b.Context(), s.conn); n != len(entries) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}
