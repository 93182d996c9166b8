package diag_test

import (
	"io"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/docker/libnetwork/diag"
)

// Whoever asks often must not fill the process with goroutines and descriptors.
func TestNothingIsLeftOpen(t *testing.T) {
	p := newPatient(t)
	all := func() {
		t.Helper()
		_, err := diag.Doctor(t.Context(), p.options())
		check(t, err)
		_, err = diag.Explain(t.Context(), p.options(), "host", "web", portWeb, "tcp")
		check(t, err)
		check(t, diag.Dump(t.Context(), p.options(), io.Discard))
	}
	count := func() (goroutines, descriptors int) {
		entries, err := os.ReadDir("/proc/self/fd")
		check(t, err)
		return runtime.NumGoroutine(), len(entries)
	}
	all()
	goroutines, descriptors := count()
	for range 5 {
		all()
	}
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		g, d := count()
		if g <= goroutines && d <= descriptors {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("from %d goroutines and %d descriptors to %d and %d", goroutines, descriptors, g, d)
		}
	}
}
