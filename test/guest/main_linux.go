// Command guest runs tests in a kernel that has what this one lacks: a stock Debian kernel
// in an emulator, with the root of this machine below, which it can only read.
//
//	go run ./test/guest follow RESULTS          show `go test -json` as it comes, and keep it
//	go run ./test/guest skipped RESULTS         run in the guest what was skipped for the kernel
//	go run ./test/guest run PROGRAM [ARGS...]   run one static program there
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/docker/libnetwork/test/guest/job"
)

// limit is how long the guest may take for all of its programs.
const limit = 8 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("the guest took more than %s", limit))
	defer cancel()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1) //nolint:gocritic // nothing that is deferred matters now
	}
}

func command(ctx context.Context, arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("want follow RESULTS, skipped RESULTS, or run PROGRAM [ARGS...]")
	}
	switch verb, rest := arguments[0], arguments[1:]; verb {
	case "follow":
		return follow(os.Stdin, os.Stdout, rest[0])
	case "skipped":
		return runSkipped(ctx, rest[0])
	case "run":
		path, err := filepath.Abs(rest[0])
		if err != nil {
			return err
		}
		folder, err := os.Getwd()
		if err != nil {
			return err
		}
		return runOne(ctx, job.Program{Path: path, Args: rest[1:], Folder: folder})
	}
	return fmt.Errorf("%q: want follow, skipped or run", arguments[0])
}

// runOne shows what a program writes, and fails if it does.
func runOne(ctx context.Context, p job.Program) error {
	status := -1
	err := boot(ctx, []job.Program{p}, func(e job.Event) {
		switch e.Kind {
		case job.Output:
			_, _ = os.Stdout.Write(e.Output)
		case job.Ended:
			status = e.Status
		}
	})
	if err == nil && status != 0 {
		err = fmt.Errorf("%s ended with status %d", p.Path, status)
	}
	return err
}
