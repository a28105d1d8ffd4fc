// Package handler is what does the work of a task: the interface that built-in and embedded handlers implement, what
// they may return, and the Mux that finds the one for an event. A handler runs outside every mailbox, under a context
// that ends at the attempt's deadline or when the task is cancelled, and at least once: (Task.ID, Task.Attempt) is its
// idempotency key.
package handler

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// MaxResultBytes bounds the result that is kept with a task; what is longer is cut.
const MaxResultBytes = 4 << 10

// MaxErrorBytes bounds the text of an error that is kept with a task; what is longer is cut.
const MaxErrorBytes = 4 << 10

// Task is one attempt at one delivery. It is shared with nothing and read-only.
type Task struct {
	// ID is the webhook_id, a UUIDv7 in text form, the same at every attempt.
	ID string
	// Attempt counts from 1 over the whole life of the task.
	Attempt int
	// Source is the configured name of the source.
	Source string
	// EventType is the sender's name for what happened: pull_request.opened.
	EventType string
	// DeliveryID is the sender's ID for the delivery; may be empty.
	DeliveryID string
	// Route names the route that brought the task here; empty where the handler was found by source and event type.
	Route string
	// Key is the ordering key under that route; may be empty.
	Key string
	// ReceivedAt is when the delivery arrived.
	ReceivedAt time.Time
	// Headers are the sender's, in order, without those that carry secrets.
	Headers []Header
	// Body is what was signed, byte for byte.
	Body []byte
}

// Header is one HTTP header of the delivery.
type Header struct{ Name, Value string }

// Get returns the first value of a canonical header name, or nothing.
func (t *Task) Get(name string) string {
	for _, h := range t.Headers {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

// Handler works tasks. Handle is called from many goroutines at once. It returns
//
//	result, nil          the task is completed; the result is kept with it, up to MaxResultBytes
//	_, Discard(err)      the task has failed for good: no further attempt
//	_, RetryAfter(err,d) another attempt, if any is left, no sooner than after d
//	_, err               another attempt, if any is left, after the usual backoff
//
// A panic counts as an error, and its stack is logged. When ctx ends, Handle must return soon: one that does not is
// abandoned after a grace and counted, and its result is not used.
type Handler interface {
	Handle(ctx context.Context, t *Task) (result []byte, err error)
}

// Func is a function as a Handler.
type Func func(ctx context.Context, t *Task) ([]byte, error)

// Handle calls f.
func (f Func) Handle(ctx context.Context, t *Task) ([]byte, error) { return f(ctx, t) }

// Discard marks err as final. It returns nil for a nil err.
func Discard(err error) error {
	if err == nil {
		return nil
	}
	return &discardError{err}
}

// RetryAfter asks that the next attempt starts no sooner than after d; it does not use up fewer attempts. It returns nil
// for a nil err.
func RetryAfter(err error, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &retryAfterError{err, d}
}

// ErrLost means that an attempt was lost through no fault of the task: its worker, on another host, is gone. An error that
// wraps it makes the task run again at once, without using up an attempt, a bounded number of times.
var ErrLost = errors.New("the attempt was lost")

// CrashError is a panic that somebody recovered on the handler's behalf, as a handler actor's parent does: the attempt counts
// as one that panicked.
type CrashError struct {
	// Value is what it panicked with, Stack where.
	Value any
	Stack []byte
}

// Error is the value. The stack is kept apart, for the attempt log.
func (e *CrashError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

type discardError struct{ error }

func (e *discardError) Unwrap() error { return e.error }

type retryAfterError struct {
	error
	after time.Duration
}

func (e *retryAfterError) Unwrap() error { return e.error }

// IsDiscard says whether err, or one that it wraps, came from Discard.
func IsDiscard(err error) bool {
	var d *discardError
	return errors.As(err, &d)
}

// After returns the delay that err, or one that it wraps, asked for with RetryAfter; zero if none.
func After(err error) time.Duration {
	var r *retryAfterError
	if errors.As(err, &r) {
		return r.after
	}
	return 0
}
