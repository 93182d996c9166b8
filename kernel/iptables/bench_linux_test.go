package iptables_test

import (
	"fmt"
	"testing"

	"github.com/docker/libnetwork/kernel/iptables"
	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/netstate"
)

// BenchmarkPublish adds one port beside those that are there, and removes it.
func BenchmarkPublish(b *testing.B) {
	kerneltest.RequireRoot(b)
	for _, variant := range []string{iptables.VariantNFT, iptables.VariantLegacy} {
		for _, present := range []int{1, 5000} {
			b.Run(fmt.Sprintf("variant=%s/present=%d", variant, present), func(b *testing.B) {
				s := newScratch(b, variant)
				s.apply(changes(netstate.Add, "network/1", ports(1, present)...))
				add, remove := changes(netstate.Add, "endpoint/1", ports(9000, 1)...), changes(netstate.Remove, "endpoint/1", ports(9000, 1)...)
				b.Run("add", func(b *testing.B) {
					for b.Loop() {
						s.apply(add)
						b.StopTimer()
						s.apply(remove)
						b.StartTimer()
					}
				})
				b.Run("remove", func(b *testing.B) {
					for b.Loop() {
						b.StopTimer()
						s.apply(add)
						b.StartTimer()
						s.apply(remove)
					}
				})
			})
		}
	}
}
