package handler_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/handlertest"
)

var errWork = errors.New("the work failed")

func TestMarksOfAnError(t *testing.T) {
	for name, test := range map[string]struct {
		err     error
		discard bool
		after   time.Duration
	}{
		"none":                    {err: nil},
		"plain":                   {err: errWork},
		"discard":                 {err: handler.Discard(errWork), discard: true},
		"discard, wrapped":        {err: fmt.Errorf("handle: %w", handler.Discard(errWork)), discard: true},
		"discard, joined":         {err: errors.Join(errWork, handler.Discard(errWork)), discard: true},
		"retry after":             {err: handler.RetryAfter(errWork, time.Minute), after: time.Minute},
		"retry after, wrapped":    {err: fmt.Errorf("handle: %w", handler.RetryAfter(errWork, time.Second)), after: time.Second},
		"retry after, innermost":  {err: handler.RetryAfter(handler.RetryAfter(errWork, time.Hour), time.Second), after: time.Second},
		"discard over a delay":    {err: handler.Discard(handler.RetryAfter(errWork, time.Hour)), discard: true, after: time.Hour},
		"discard of nothing":      {err: handler.Discard(nil)},
		"retry after for nothing": {err: handler.RetryAfter(nil, time.Hour)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := handler.IsDiscard(test.err); got != test.discard {
				t.Errorf("IsDiscard: %t, want %t", got, test.discard)
			}
			if got := handler.After(test.err); got != test.after {
				t.Errorf("After: %s, want %s", got, test.after)
			}
		})
	}
}

func TestMarksKeepTextAndIdentity(t *testing.T) {
	for _, err := range []error{handler.Discard(errWork), handler.RetryAfter(errWork, time.Second)} {
		if err.Error() != errWork.Error() {
			t.Errorf("text %q, want %q", err, errWork)
		}
		if !errors.Is(err, errWork) {
			t.Errorf("%#v does not wrap the error it marks", err)
		}
	}
}

func TestMarksOfNothingAreNil(t *testing.T) {
	if err := handler.Discard(nil); err != nil {
		t.Errorf("Discard(nil): %v", err)
	}
	if err := handler.RetryAfter(nil, time.Second); err != nil {
		t.Errorf("RetryAfter(nil): %v", err)
	}
}

func TestTaskGet(t *testing.T) {
	task := handlertest.NewTask(handlertest.WithHeader("X-Many", "first"), handlertest.WithHeader("X-Many", "second"))
	for name, want := range map[string]string{
		"Content-Type": "application/json",
		"X-Many":       "first",
		"X-None":       "",
		"":             "",
	} {
		if got := task.Get(name); got != want {
			t.Errorf("Get(%q): %q, want %q", name, got, want)
		}
	}
}

func TestFuncConformance(t *testing.T) {
	handlertest.Run(t, handlertest.Subject{
		New: func(*testing.T) handler.Handler {
			return handler.Func(func(ctx context.Context, task *handler.Task) ([]byte, error) {
				return []byte(task.ID), context.Cause(ctx)
			})
		},
		Stuck: func(*testing.T) (handler.Handler, func()) {
			running := make(chan struct{}, 1) // one attempt, whether or not it is awaited
			h := handler.Func(func(ctx context.Context, _ *handler.Task) ([]byte, error) {
				running <- struct{}{}
				<-ctx.Done()
				return nil, context.Cause(ctx)
			})
			return h, func() { <-running }
		},
	})
}
