// Package undo keeps the steps that take an operation back.
package undo

import (
	"context"
	"errors"
	"fmt"
)

// Stack holds what to undo, the latest first. The zero Stack is empty and ready.
// It belongs to one goroutine.
type Stack struct {
	steps []step
}

type step struct {
	what string
	run  func(context.Context) error
}

// Push adds a step. What is said of it if it does not work out: "release address".
func (s *Stack) Push(what string, run func(context.Context) error) {
	s.steps = append(s.steps, step{what, run})
}

// OnError runs all steps, the latest first, if *err is not nil, and adds what went
// wrong in them to *err. Deferred, it takes back an operation that returns an
// error. The steps run although ctx may be done: half an operation is worse than
// a late answer.
func (s *Stack) OnError(ctx context.Context, err *error) {
	if *err == nil {
		return
	}
	ctx = context.WithoutCancel(ctx)
	for i := len(s.steps) - 1; i >= 0; i-- {
		if undoErr := s.steps[i].run(ctx); undoErr != nil {
			*err = errors.Join(*err, fmt.Errorf("undo: %s: %w", s.steps[i].what, undoErr))
		}
	}
	s.steps = nil
}
