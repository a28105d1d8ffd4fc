package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// Handlers finds the handler of a delivery.
type Handlers interface {
	Lookup(source, eventType string) (handler.Binding, bool)
}

// attempts runs one attempt after the other, each on a goroutine of its own, and never waits in Receive.
//
// idle: nothing runs. Left by assign.
// running: exactly one goroutine works for us. Left by its return, by its panic, or, once deadline and grace have
// passed, by abandoning it: it is then counted until it ends, and what it returns is not used.
type attempts struct {
	journal  reader
	clock    clock.Clock
	metrics  *metrics.Set
	tracer   *tracing.Tracer
	registry *actor.PID
	// valid says whether this member of a cluster may act for a shard; nil on one machine.
	valid func(shard int, generation int64) bool

	behavior actor.Behavior
	current  *run // nil when idle
}

// run is one attempt under way.
type run struct {
	assignment *assign
	binding    handler.Binding
	cancel     context.CancelCauseFunc
	startedAt  time.Time
	timer      clock.Timer
	stopped    task.Outcome // why it was told to stop; zero if it was not
	overdue    bool         // its deadline has passed
	fate       atomic.Int32 // of the goroutine; with span, the one thing that both sides write
	span       spanSlot
	// parent and state are the delivery's trace. Only the goroutine looks at them.
	parent, state string
}

// The fates of a goroutine.
const (
	fateRunning int32 = iota
	fateEnded
	fateAbandoned
)

// What the goroutine and the timers of a run tell the actor.
type (
	returned struct {
		run    *run
		output []byte
		err    error
	}
	panicked struct {
		run   *run
		value any
		stack string
	}
	deadlineReached struct{ run *run }
	graceOver       struct{ run *run }
)

// crash is what the actor panics with when a handler did: the supervision strategy finds in it how the attempt ended.
type crash struct{ ended *attemptEnded }

// LogValue keeps the stack, and whatever the handler panicked with, out of the library's own log line.
func (c *crash) LogValue() slog.Value { return slog.StringValue("a handler panicked") }

// Receive is that of the present behaviour.
func (a *attempts) Receive(ctx actor.Context) { a.behavior.Receive(ctx) }

func (a *attempts) idle(ctx actor.Context) {
	if m, ok := ctx.Message().(*assign); ok {
		a.begin(ctx, m)
	}
}

func (a *attempts) running(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *returned:
		a.returned(ctx, m)
	case *panicked:
		a.panicked(ctx, m)
	case *deadlineReached:
		a.deadlineReached(ctx, m)
	case *graceOver:
		a.graceOver(ctx, m)
	case *stopAttempt:
		a.stop(ctx, m)
	case *actor.Stopping:
		a.current.cancel(context.Canceled)
	}
}

// begin starts the goroutine of an attempt. The goroutine ends with its handler; a handler that ignores its context is
// left behind.
func (a *attempts) begin(ctx actor.Context, m *assign) {
	r := &run{assignment: m, startedAt: a.clock.Now()}
	binding, err := m.terms.routes.lookup(m.terms.handlers, m.route, m.source, m.eventType)
	if err != nil {
		r.binding.Name = "none"
		a.current = r
		a.finish(ctx, &attemptEnded{result: task.Result{Outcome: task.Discarded}, err: err.Error()})
		return
	}
	r.binding = binding
	timeout := or(binding.Timeout, m.terms.config.AttemptTimeout)
	if m.deadline != 0 {
		timeout = max(0, min(timeout, time.Duration(m.deadline-r.startedAt.UnixNano())))
	}
	base, cancel := context.WithCancelCause(context.Background())
	r.cancel = cancel
	self, root := ctx.Self(), ctx.ActorSystem().Root
	r.timer = a.clock.AfterFunc(timeout, func() { root.Send(self, &deadlineReached{r}) })
	a.current = r
	a.behavior.Become(a.running)
	runContext := deadlineContext{base, r.startedAt.Add(timeout)}
	go a.work(runContext, r, func(message any) { root.Send(self, message) })
}

// deadlineContext is a context whose end is brought about by the actor's clock.
type deadlineContext struct {
	context.Context
	deadline time.Time
}

// Err is DeadlineExceeded once the attempt's time is up.
func (c deadlineContext) Err() error {
	if errors.Is(context.Cause(c.Context), context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	return c.Context.Err()
}

// Deadline is when the attempt's time is up.
func (c deadlineContext) Deadline() (time.Time, bool) { return c.deadline, true }

// work runs the handler, outside every mailbox, and mails what it came to.
func (a *attempts) work(ctx context.Context, r *run, mail func(any)) {
	finished := false
	defer func() {
		if value := recover(); value != nil {
			mail(&panicked{run: r, value: value, stack: string(debug.Stack())})
		} else if !finished {
			mail(&panicked{run: r, value: "the handler ended its goroutine", stack: string(debug.Stack())})
		}
		if !r.fate.CompareAndSwap(fateRunning, fateEnded) {
			a.metrics.Tasks.AbandonedRunning.Dec()
		}
	}()
	t, err := a.load(r)
	if err != nil {
		finished = true
		mail(&returned{run: r, err: fmt.Errorf("the delivery cannot be read back: %w", err)})
		return
	}
	ctx, span := a.tracer.Attempt(ctx, a.traced(r, t))
	r.span.fill(span)
	if m := r.assignment; a.valid != nil && !a.valid(ShardOfTask(m.id), m.generation) {
		finished = true // the process slept, and another member may run it by now
		mail(&returned{run: r, err: fmt.Errorf("the lease of the shard is in doubt: %w", handler.ErrLost)})
		return
	}
	output, err := r.binding.Handler.Handle(ctx, t)
	finished = true
	mail(&returned{run: r, output: output, err: err})
}

// load reads the delivery back from the journal, unless it came along.
func (a *attempts) load(r *run) (*handler.Task, error) {
	m, d := r.assignment, r.assignment.delivery
	if d == nil {
		var err error
		if d, err = readDelivery(a.journal, m.at); err != nil {
			a.metrics.Journal.Errors.With("read").Inc()
			return nil, err
		}
	}
	r.parent, r.state = d.GetTraceparent(), d.GetTracestate()
	t := &handler.Task{
		ID: m.id.String(), Attempt: int(m.attempt), Source: m.source, EventType: m.eventType,
		DeliveryID: d.GetDeliveryId(), Route: m.route, Key: m.key,
		ReceivedAt: time.Unix(0, m.createdAt), Body: d.GetBody(),
		Headers: make([]handler.Header, len(d.GetHeaders())),
	}
	for i, h := range d.GetHeaders() {
		t.Headers[i] = handler.Header{Name: h.GetName(), Value: h.GetValue()}
	}
	return t, nil
}

func (a *attempts) returned(ctx actor.Context, m *returned) {
	if m.run != a.current {
		return
	}
	ended := &attemptEnded{output: clip(m.output, handler.MaxResultBytes)}
	var crashed *handler.CrashError
	switch {
	case errors.As(m.err, &crashed):
		a.metrics.Tasks.Crashes.Inc()
		ended.stack = string(crashed.Stack)
		ended.err, ended.output = crashText(crashed.Value, ended.stack), nil
	case m.err != nil:
		ended.err, ended.output = string(clip([]byte(m.err.Error()), handler.MaxErrorBytes)), nil
	}
	ended.result = a.judge(m.err)
	a.finish(ctx, ended)
}

// judge turns what a handler returned into an outcome.
func (a *attempts) judge(err error) task.Result {
	switch {
	case err == nil:
		return task.Result{Outcome: task.Succeeded}
	case a.current.stopped != 0:
		return task.Result{Outcome: a.current.stopped}
	case errors.Is(err, handler.ErrLost):
		return task.Result{Outcome: task.Interrupted}
	case errors.As(err, new(*handler.CrashError)):
		return task.Result{Outcome: task.Panicked}
	case handler.IsDiscard(err):
		return task.Result{Outcome: task.Discarded}
	case a.current.overdue:
		return task.Result{Outcome: task.TimedOut}
	default:
		return task.Result{Outcome: task.Retry, RetryAfter: handler.After(err)}
	}
}

// panicked makes the actor itself fail, so that the crash takes the way of every other: through supervision.
func (a *attempts) panicked(ctx actor.Context, m *panicked) {
	if m.run != a.current {
		return
	}
	a.metrics.Tasks.Crashes.Inc()
	ended := &attemptEnded{
		result: task.Result{Outcome: task.Panicked}, stack: m.stack,
		err: crashText(m.value, m.stack),
	}
	a.complete(ctx, ended)
	panic(&crash{ended})
}

// crashText is a panic with its stack, for the attempt log.
func crashText(value any, stack string) string {
	return string(clip(fmt.Appendf(nil, "panic: %.1024v\n\n%s", value, stack), handler.MaxErrorBytes))
}

// deadlineReached ends the handler's context and gives it the grace.
func (a *attempts) deadlineReached(ctx actor.Context, m *deadlineReached) {
	if m.run == a.current && m.run.timer != nil {
		m.run.overdue = true
		m.run.cancel(context.DeadlineExceeded)
		a.graceBegins(ctx, m.run)
	}
}

// stop ends the handler's context because its result is no longer wanted.
func (a *attempts) stop(ctx actor.Context, m *stopAttempt) {
	r := a.current
	if r.assignment.id != m.id || r.assignment.attempt != m.attempt || r.stopped != 0 {
		return
	}
	r.stopped = m.outcome
	r.cancel(context.Canceled)
	if r.timer != nil {
		r.timer.Stop()
		a.graceBegins(ctx, r)
	}
}

func (a *attempts) graceBegins(ctx actor.Context, r *run) {
	r.timer = nil
	self, root := ctx.Self(), ctx.ActorSystem().Root
	a.clock.AfterFunc(r.assignment.terms.config.Grace, func() { root.Send(self, &graceOver{r}) })
}

// graceOver leaves the goroutine to its fate.
func (a *attempts) graceOver(ctx actor.Context, m *graceOver) {
	if m.run != a.current {
		return
	}
	if !m.run.fate.CompareAndSwap(fateRunning, fateAbandoned) {
		return // it has ended this very moment; what it returned is in the mailbox
	}
	a.metrics.Tasks.AbandonedRunning.Inc()
	a.finish(ctx, &attemptEnded{
		result: task.Result{Outcome: or(m.run.stopped, task.Abandoned)},
		err:    "the handler ignored the end of its context and was abandoned",
	})
}

// finish reports the end of the attempt and makes room for the next.
func (a *attempts) finish(ctx actor.Context, ended *attemptEnded) {
	a.complete(ctx, ended)
	ctx.Send(a.registry, ended)
}

// complete fills in what every end has in common and becomes idle.
func (a *attempts) complete(ctx actor.Context, ended *attemptEnded) {
	r := a.current
	ended.assignment, ended.crew, ended.handler = r.assignment, crew{ctx.Parent(), ctx.Self()}, r.binding.Name
	ended.took = a.clock.Now().Sub(r.startedAt)
	if r.timer != nil {
		r.timer.Stop()
	}
	if r.cancel != nil {
		r.cancel(context.Canceled)
	}
	r.span.end(ended.result.Outcome)
	a.current = nil
	a.behavior.Become(a.idle)
}

// clip cuts at a length in bytes.
func clip(b []byte, most int) []byte {
	if len(b) <= most {
		return b
	}
	return b[:most:most]
}
