package handlertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
)

// Subject is a kind of handler under test.
type Subject struct {
	// New returns a handler that completes whatever task it is given.
	New func(t *testing.T) handler.Handler
	// Stuck returns a handler whose attempts end only with their context, and a function that returns once one is under
	// way. Nil for handlers that never wait.
	Stuck func(t *testing.T) (h handler.Handler, awaitRunning func())
}

// Run holds a handler to the contract of handler.Handler: it completes tasks of every size, leaves them as they were,
// keeps its result within bounds, serves many goroutines, and returns soon, with the cause, once its context has ended.
func Run(t *testing.T, s Subject) {
	t.Run("completes and leaves the task alone", func(t *testing.T) { testTaskUntouched(t, s.New(t)) })
	t.Run("serves many goroutines", func(t *testing.T) { testConcurrent(t, s.New(t)) })
	t.Run("context ended before", func(t *testing.T) { testEndedBefore(t, s.New(t)) })
	if s.Stuck == nil {
		return
	}
	t.Run("context cancelled under way", func(t *testing.T) {
		h, awaitRunning := s.Stuck(t)
		testCancelled(t, h, awaitRunning)
	})
	t.Run("deadline passes under way", func(t *testing.T) {
		h, _ := s.Stuck(t)
		testDeadline(t, h)
	})
}

// bodies are what a handler must carry unharmed: nothing, bytes that are no text, and more than a pipe holds.
func bodies() map[string][]byte {
	everyByte := make([]byte, 256)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	return map[string][]byte{
		"nil":        nil,
		"empty":      {},
		"one":        []byte("x"),
		"every byte": everyByte,
		"large":      bytes.Repeat(everyByte, 1<<20/len(everyByte)),
	}
}

// testTaskUntouched compares each task with a copy made before it was worked.
func testTaskUntouched(t *testing.T, h handler.Handler) {
	for name, body := range bodies() {
		t.Run(name, func(t *testing.T) {
			task := NewTask(WithBody(body))
			before := Clone(task)
			result, err := h.Handle(t.Context(), task)
			if err != nil {
				t.Fatalf("Handle: %v", err)
			}
			if len(result) > handler.MaxResultBytes {
				t.Errorf("result of %d bytes, more than %d", len(result), handler.MaxResultBytes)
			}
			if !reflect.DeepEqual(task, before) {
				t.Error("the task was changed")
			}
		})
	}
}

// testConcurrent is for the race detector as much as for the outcome. The tasks differ by ID; nothing else is shared but
// the handler.
func testConcurrent(t *testing.T, h handler.Handler) {
	const goroutines, each = 8, 4
	shared := NewTask()
	failures := make(chan error, goroutines*each) // one place for every attempt
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				task := Clone(shared)
				task.ID = fmt.Sprintf("0198f2a4-7c1e-7d3b-9a55-%012d", g*each+i)
				if _, err := h.Handle(t.Context(), task); err != nil {
					failures <- fmt.Errorf("task %s: %w", task.ID, err)
				}
			}
		})
	}
	wg.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
}

// testEndedBefore begins an attempt whose context is over: there is nothing to do but to say so.
func testEndedBefore(t *testing.T, h handler.Handler) {
	reason := errors.New("cancelled by the conformance suite")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(reason)
	checkEnded(t, await(t, begin(ctx, h)), reason)
}

// testCancelled cuts an attempt short while it waits on the world outside.
func testCancelled(t *testing.T, h handler.Handler, awaitRunning func()) {
	reason := errors.New("cancelled by the conformance suite")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	done := begin(ctx, h)
	awaitRunning()
	select {
	case err := <-done:
		t.Fatalf("ended by itself: %v", err)
	default:
	}
	cancel(reason)
	checkEnded(t, await(t, done), reason)
}

// testDeadline lets time itself end an attempt, wherever it has come to by then.
func testDeadline(t *testing.T, h handler.Handler) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	checkEnded(t, await(t, begin(ctx, h)), context.DeadlineExceeded)
}

// begin calls the handler from a goroutine that ends when Handle returns.
func begin(ctx context.Context, h handler.Handler) <-chan error {
	done := make(chan error, 1) // so that a call that is given up on still ends
	go func() {
		_, err := h.Handle(ctx, NewTask())
		done <- err
	}()
	return done
}

// await returns what Handle returned, and fails the test when it does not return within Bound.
func await(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(Bound):
		t.Fatal("Handle did not return after its context had ended")
		return nil
	}
}

// checkEnded judges the error of an attempt that its context ended: the caller tells a timeout from a cancellation by the
// cause, and neither is the delivery's fault.
func checkEnded(t *testing.T, err, reason error) {
	t.Helper()
	switch {
	case err == nil:
		t.Error("no error although the context had ended")
	case !errors.Is(err, reason):
		t.Errorf("error %q does not wrap the cause %q", err, reason)
	case handler.IsDiscard(err):
		t.Errorf("error %q discards a task whose attempt was merely cut short", err)
	}
}
