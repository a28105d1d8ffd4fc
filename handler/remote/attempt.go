package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// attempt is one that runs here.
type attempt struct {
	token      string // of the registration under which it was handed out
	generation uint64
	task       *handler.Task
	cancel     context.CancelCauseFunc
	cancelled  error // the cause, once it was
}

// finished says how the handler ended.
type finished struct {
	attempt *attempt
	result  []byte
	err     error
}

// errNoReturn is what becomes of a handler that ends its goroutine instead of returning.
var errNoReturn = errors.New("the handler did not return")

// run begins an attempt, or gives it back. One without a registration, of an earlier one, or that is at work already is
// none of ours.
func (m *member) run(ctx actor.Context, message *pb.RunAttempt) {
	if _, again := m.running[message.GetGeneration()]; again || message.GetTask() == nil || !m.mine(message.GetToken()) {
		return
	}
	a := &attempt{token: m.token, generation: message.GetGeneration(), task: decode(message.GetTask())}
	switch {
	case m.draining:
		m.report(ctx, a, nil, fmt.Errorf("%w: %w", handler.ErrLost, ErrDrained))
		return
	case len(m.running) >= m.config.Credits:
		m.report(ctx, a, nil, fmt.Errorf("%w: all %d credits are in use", handler.ErrLost, m.config.Credits))
		return
	}
	trace := tracing.Follow(context.Background(), message.GetTask().GetTraceparent(), message.GetTask().GetTracestate())
	work, cancel := context.WithCancelCause(trace)
	stop := func() { cancel(nil) }
	if remaining := message.GetRemaining(); remaining != nil {
		work, stop = context.WithTimeout(work, remaining.AsDuration())
	}
	a.cancel = cancel
	m.running[a.generation] = a
	self, root, h := ctx.Self(), m.root, m.config.Handler
	go func() { // ends when the handler returns; its context tells it to
		defer cancel(nil)
		defer stop()
		f := finished{attempt: a, err: errNoReturn}
		defer func() { root.Send(self, f) }()
		f.result, f.err = call(work, h, a.task)
	}()
}

// call makes a panic of the handler an error.
func call(ctx context.Context, h handler.Handler, t *handler.Task) (result []byte, err error) {
	defer func() {
		if value := recover(); value != nil {
			result, err = nil, &handler.CrashError{Value: value, Stack: debug.Stack()}
		}
	}()
	return h.Handle(ctx, t)
}

// cancel tells an attempt that its result is not wanted.
func (m *member) cancel(message *pb.CancelAttempt) {
	if a, runs := m.running[message.GetGeneration()]; runs && m.mine(message.GetToken()) {
		a.cancelFor(ErrCancelled)
	}
}

// cancelAll tells every attempt.
func (m *member) cancelAll(cause error) {
	for _, a := range m.running {
		a.cancelFor(cause)
	}
}

func (a *attempt) cancelFor(cause error) {
	if a.cancelled == nil {
		a.cancelled = cause
		a.cancel(cause)
	}
}

// finished reports an attempt, unless it was of an earlier registration: the daemon has counted that as lost.
func (m *member) finished(ctx actor.Context, f finished) {
	delete(m.running, f.attempt.generation)
	err := f.err
	if cause := f.attempt.cancelled; err != nil && errors.Is(cause, ErrDrained) {
		err = fmt.Errorf("%w: %w: %w", handler.ErrLost, cause, err) // it was not the task's fault
	}
	m.logCrash(f)
	if f.attempt.token == m.token {
		m.report(ctx, f.attempt, f.result, err)
	}
	if m.draining {
		m.leave(ctx)
	}
}

func (m *member) logCrash(f finished) {
	var crash *handler.CrashError
	if errors.As(f.err, &crash) {
		m.log().WithFields(logrus.Fields{
			logfield.TaskID: f.attempt.task.ID, logfield.TaskAttempt: f.attempt.task.Attempt,
			logfield.Error: crash.Error(), "stack": string(crash.Stack),
		}).Error("the handler panicked")
	}
}

// report tells the daemon how an attempt ended.
func (m *member) report(ctx actor.Context, a *attempt, result []byte, err error) {
	message := encode(result, err)
	message.Token, message.Generation = a.token, a.generation
	message.WebhookId, message.Attempt = a.task.ID, uint32(a.task.Attempt)
	ctx.Send(m.daemon, message)
}

// encode makes the message of what a handler returned.
func encode(result []byte, err error) *pb.AttemptResult {
	if err == nil {
		return &pb.AttemptResult{
			Outcome: pb.Outcome_OUTCOME_COMPLETED, Result: bytes.Clone(result[:min(len(result), handler.MaxResultBytes)]),
		}
	}
	text := err.Error()
	m := &pb.AttemptResult{Outcome: pb.Outcome_OUTCOME_RETRY, Error: []byte(text[:min(len(text), handler.MaxErrorBytes)])}
	var crash *handler.CrashError
	switch {
	case errors.Is(err, handler.ErrLost):
		m.Outcome = pb.Outcome_OUTCOME_LOST
	case errors.As(err, &crash):
		m.Outcome = pb.Outcome_OUTCOME_PANIC
		value := fmt.Sprint(crash.Value)
		m.Error = []byte(value[:min(len(value), handler.MaxErrorBytes)])
		m.Stack = crash.Stack[:min(len(crash.Stack), link.MaxStackBytes)]
	case handler.IsDiscard(err):
		m.Outcome = pb.Outcome_OUTCOME_DISCARD
	case handler.After(err) > 0:
		m.RetryAfter = durationpb.New(handler.After(err))
	}
	return m
}

// decode makes the task of its message.
func decode(m *pb.Task) *handler.Task {
	t := &handler.Task{
		ID: m.GetWebhookId(), Attempt: int(m.GetAttempt()), Source: m.GetSource(), EventType: string(m.GetEventType()),
		DeliveryID: string(m.GetDeliveryId()), Route: m.GetRoute(), Key: string(m.GetKey()), Body: m.GetBody(),
		Headers: make([]handler.Header, 0, len(m.GetHeaders())),
	}
	if m.GetReceivedAt() != 0 {
		t.ReceivedAt = time.Unix(0, m.GetReceivedAt()).UTC()
	}
	for _, h := range m.GetHeaders() {
		t.Headers = append(t.Headers, handler.Header{Name: h.GetName(), Value: string(h.GetValue())})
	}
	return t
}
