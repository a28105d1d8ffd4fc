// Package local makes actors of this process handlers: an actor with a state of its own receives each attempt as a
// message, in its own mailbox, one after the other. The daemon spawns it under its supervisor. One that panics has failed
// the attempt that it was at, and begins anew with fresh state; the others in its mailbox are not harmed.
//
//	type counter struct{ seen int }
//
//	func (c *counter) Receive(ctx actor.Context) {
//		if w, ok := ctx.Message().(*local.Work); ok {
//			c.seen++
//			w.Done([]byte(strconv.Itoa(c.seen)), nil)
//		}
//	}
//
// The one invariant: every Work ends exactly once, be it by Done, by the actor's panic, or by the end of its context.
package local

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/handler"
)

// Config describes a handler actor.
type Config struct {
	// Name is that of the actor below the daemon's; it is unique among handler actors.
	Name string
	// Props make the actor. Its own supervision of its children, mailbox and middleware stay as they are.
	Props *actor.Props
	// PerKey gives each ordering key an actor of its own, so that keys do not wait for each other, and tasks without a key
	// one together. Without it there is one actor.
	PerKey bool
	// IdleAfter is how long an actor of a key is kept without work. Zero means a minute.
	IdleAfter time.Duration
	// MaxActors bounds the actors of PerKey; a task that would need one more is tried again later. Zero means 10,000.
	MaxActors int
}

// retryLater is when a task is tried again for which there is no actor.
const retryLater = time.Second

var (
	// ErrNotRunning means that the daemon has not spawned the actor, or has stopped it.
	ErrNotRunning = errors.New("the handler actor does not run")
	// ErrTooMany means that there are as many actors as may be.
	ErrTooMany = errors.New("too many ordering keys are at work")
)

// Work is one attempt, as the actor receives it.
type Work struct {
	// Context ends at the attempt's deadline, or when its result is no longer wanted.
	Context context.Context
	// Task is read-only.
	Task *handler.Task

	ended   atomic.Bool
	outcome chan outcome // takes the one outcome
}

type outcome struct {
	result []byte
	err    error
}

// Done ends the attempt, with what handler.Handler may return. It may be called from any goroutine; only the first call
// counts.
func (w *Work) Done(result []byte, err error) {
	if w.ended.CompareAndSwap(false, true) {
		w.outcome <- outcome{result, err}
	}
}

// Handler hands attempts to a handler actor. It is safe for use by several goroutines.
type Handler struct {
	config Config
	home   atomic.Pointer[home]
}

// home is where the actor runs.
type home struct {
	root *actor.RootContext
	pid  *actor.PID
}

// New returns a Handler whose actor does not run yet: the daemon spawns it.
func New(c Config) (*Handler, error) {
	if c.Name == "" || c.Props == nil {
		return nil, errors.New("local: a handler actor needs a name and props")
	}
	if c.IdleAfter < 0 || c.MaxActors < 0 {
		return nil, fmt.Errorf("local: handler actor %s: a negative bound", c.Name)
	}
	if c.IdleAfter == 0 {
		c.IdleAfter = time.Minute
	}
	if c.MaxActors == 0 {
		c.MaxActors = 10_000
	}
	return &Handler{config: c}, nil
}

// Name is that of the actor.
func (h *Handler) Name() string { return h.config.Name }

// Attach says where the actor runs. The daemon calls it before the first attempt.
func (h *Handler) Attach(system *actor.ActorSystem, pid *actor.PID) {
	h.home.Store(&home{root: system.Root, pid: pid})
}

// Handle mails the attempt to the actor and waits for its end. An actor that does not heed the context is not waited for;
// its Done, should it come, is not used.
func (h *Handler) Handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	at := h.home.Load()
	if at == nil {
		return nil, ErrNotRunning
	}
	w := &Work{Context: ctx, Task: t, outcome: make(chan outcome, 1)}
	at.root.Send(at.pid, w)
	select {
	case o := <-w.outcome:
		return o.result, o.err
	case <-ctx.Done():
		w.ended.Store(true)
		return nil, context.Cause(ctx)
	}
}

// guard is receiver middleware: it ends the attempt at which the actor panics, and lets the panic go on to supervision.
func guard(next actor.ReceiverFunc) actor.ReceiverFunc {
	return func(ctx actor.ReceiverContext, envelope *actor.MessageEnvelope) {
		w, ok := envelope.Message.(*Work)
		if !ok {
			next(ctx, envelope)
			return
		}
		if w.ended.Load() {
			return // it waited in the mailbox for longer than it had time
		}
		defer func() {
			if value := recover(); value != nil {
				w.Done(nil, &handler.CrashError{Value: value, Stack: debug.Stack()})
				panic(value)
			}
		}()
		next(ctx, envelope)
	}
}
