package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/docker/libnetwork/kernel/kerneltest"
	"github.com/docker/libnetwork/test/guest/job"
)

// results are what `go test -json` says of a package with three tests.
const results = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestGood"}
{"Action":"output","Package":"p","Test":"TestGood","Output":"noise\n"}
{"Action":"pass","Package":"p","Test":"TestGood","Elapsed":0.1}
{"Action":"output","Package":"p","Test":"TestLacks/sub","Output":"    x_test.go:7: needs kernel feature \"ipvlan\" (CONFIG_IPVLAN, module ipvlan), and \"ifb\" (CONFIG_IFB, module ifb)\n"}
{"Action":"skip","Package":"p","Test":"TestLacks/sub"}
{"Action":"output","Package":"p","Test":"TestOther","Output":"    x_test.go:9: not today\n"}
{"Action":"skip","Package":"p","Test":"TestOther"}
`

func TestSkipped(t *testing.T) {
	tests, others, err := skipped(strings.NewReader(results))
	if err != nil {
		t.Fatal(err)
	}
	if len(tests) != 1 || tests[0].Test != "TestLacks/sub" || len(tests[0].Missing) != 2 || tests[0].Missing[0] != kerneltest.FeatureIPvlan {
		t.Errorf("skipped for the kernel: %+v", tests)
	}
	if len(others) != 1 || others[0] != "p TestOther" {
		t.Errorf("skipped for something else: %q", others)
	}
	if names := topLevel(tests); len(names) != 1 || names[0] != "TestLacks" {
		t.Errorf("to be run: %q", names)
	}
}

// TestVerdict: a run in the guest is good only if each test has passed there.
func TestVerdict(t *testing.T) {
	tests := []skippedTest{{Package: "p", Test: "TestA"}, {Package: "p", Test: "TestB/sub"}}
	for _, test := range []struct {
		output string
		status int
		says   string
	}{
		{"--- PASS: TestA (0.1s)\n--- PASS: TestB (0.1s)\n    --- PASS: TestB/sub (0.1s)\nPASS\n", 0, ""},
		{"--- PASS: TestA (0.1s)\n--- PASS: TestB (0.1s)\nPASS\n", 0, "TestB/sub: did not run"},
		{"--- SKIP: TestA (0.1s)\n    --- PASS: TestB/sub (0.1s)\nPASS\n", 0, "TestA: is skipped here and in the guest"},
		{"--- FAIL: TestA (0.1s)\n    --- PASS: TestB/sub (0.1s)\nFAIL\n", 1, "TestA: failed"},
		{"--- PASS: TestA (0.1s)\n    --- PASS: TestB/sub (0.1s)\npanic: late\n", 2, "status 2"},
		{"", 0, "did not run"},
	} {
		err := verdict(tests, test.output, test.status)
		if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q, status %d: got %v, want %q", test.output, test.status, err, test.says)
		}
	}
}

// TestOtherSkips: one without a reason in the list is an error.
func TestOtherSkips(t *testing.T) {
	for test := range maySkip() {
		if err := checkOthers([]string{test, test + "/sub"}); err != nil {
			t.Errorf("%s has a reason: %v", test, err)
		}
	}
	if err := checkOthers([]string{"p TestOther"}); err == nil || !strings.Contains(err.Error(), "p TestOther") {
		t.Errorf("one without a reason: %v", err)
	}
}

func TestFollow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results")
	var out bytes.Buffer
	good := results + `{"Action":"pass","Package":"p","Elapsed":1}` + "\n"
	if err := follow(strings.NewReader(good), &out, path); err != nil || out.String() != "ok\tp\t1.0s\n" {
		t.Errorf("got %v: %q", err, out.String())
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != good {
		t.Errorf("kept %q: %v", kept, err)
	}
	out.Reset()
	bad := `{"Action":"output","Package":"p","Test":"TestBad","Output":"the reason\n"}
{"Action":"fail","Package":"p","Test":"TestBad"}
{"Action":"fail","Package":"p","Elapsed":2}
`
	if err := follow(strings.NewReader(bad), &out, path); err == nil || !strings.Contains(out.String(), "the reason") || !strings.Contains(out.String(), "FAIL\tp") {
		t.Errorf("got %v: %q", err, out.String())
	}
	if err := follow(strings.NewReader(`{"Action":"build-fail","ImportPath":"p"}`+"\n"), &out, path); err == nil {
		t.Error("what does not build is no failure")
	}
}

// TestGuestThatEnds: a program that fails, and a kernel that dies, are errors.
func TestGuestThatEnds(t *testing.T) {
	kerneltest.RequireRoot(t)
	status := -1
	err := boot(context.Background(), []job.Program{
		{Path: "/bin/sh", Args: []string{"-c", "exit 7"}},
		{Path: "/bin/sh", Args: []string{"-c", "echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger; sleep 60"}},
	}, func(e job.Event) {
		if e.Kind == job.Ended && e.Program == 0 {
			status = e.Status
		}
	})
	if status != 7 {
		t.Errorf("a program that ends with status 7: got %d", status)
	}
	if err == nil || !strings.Contains(err.Error(), "ended before it had done all") || strings.Contains(err.Error(), "%!") {
		t.Errorf("a kernel that dies: got %v", err)
	}
}

// TestGuestThatTakesTooLong: the emulator does not outlive its time.
func TestGuestThatTakesTooLong(t *testing.T) {
	kerneltest.RequireRoot(t)
	over := errors.New("its time is over")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	err := boot(ctx, []job.Program{{Path: "/bin/sleep", Args: []string{"600"}}}, func(e job.Event) {
		if e.Kind == job.Begun {
			cancel(over)
		}
	})
	if !errors.Is(err, over) {
		t.Errorf("got %v, want %v", err, over)
	}
}
