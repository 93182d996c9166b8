package undo_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/docker/libnetwork/internal/undo"
)

func operate(ctx context.Context, fail error, done *[]string) (err error) {
	var u undo.Stack
	defer u.OnError(ctx, &err)
	u.Push("open door", func(ctx context.Context) error {
		*done = append(*done, "door")
		return ctx.Err()
	})
	u.Push("light lamp", func(context.Context) error {
		*done = append(*done, "lamp")
		return errors.New("burnt")
	})
	return fail
}

func TestOnErrorRunsLatestFirst(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cause := errors.New("cause")
	var done []string
	err := operate(ctx, cause, &done)
	if !errors.Is(err, cause) || err.Error() != "cause\nundo: light lamp: burnt" {
		t.Errorf("error %q", err)
	}
	if want := []string{"lamp", "door"}; !slices.Equal(done, want) {
		t.Errorf("undone %v, want %v", done, want)
	}
}

func TestNothingUndoneOnSuccess(t *testing.T) {
	var done []string
	if err := operate(t.Context(), nil, &done); err != nil || len(done) != 0 {
		t.Errorf("error %v, undone %v", err, done)
	}
}
