package actors

import (
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/task"
)

// Event is something worth a log line. Events are published on the actor system's event stream and logged by one
// subscriber, so that actors stay quiet.
type Event interface {
	// Log says how the event is to be logged. The attributes hold neither bodies nor secrets.
	Log() (slog.Level, string, []slog.Attr)
}

// AttemptFailed is published when an attempt ended other than with success.
type AttemptFailed struct {
	ID        task.ID
	Attempt   uint32
	Source    string
	EventType string
	Handler   string
	Outcome   task.Outcome
	// Next is the status that follows, and DueAt when the next attempt may start, if one follows.
	Next  task.Status
	DueAt time.Time
	Err   string
	// Stack is that of a panic.
	Stack string
	Took  time.Duration
}

// Log is an error where the task is lost to its handler, a warning where it is tried again.
func (e AttemptFailed) Log() (slog.Level, string, []slog.Attr) {
	level, message := slog.LevelWarn, "attempt failed; it will be retried"
	attrs := []slog.Attr{
		slog.String("task.id", e.ID.String()), slog.Uint64("task.attempt", uint64(e.Attempt)),
		slog.String("source", e.Source), slog.String("event", e.EventType), slog.String("handler", e.Handler),
		slog.String("outcome", e.Outcome.String()), slog.String("status", e.Next.String()),
		slog.Int64("duration_ms", e.Took.Milliseconds()), slog.String("error", e.Err),
	}
	switch e.Next {
	case task.Failed:
		level, message = slog.LevelError, "task failed: no attempt is left"
	case task.Cancelled:
		level, message = slog.LevelInfo, "attempt stopped: the task was cancelled"
	default:
		attrs = append(attrs, slog.Time("due_at", e.DueAt))
	}
	if e.Stack != "" {
		attrs = append(attrs, slog.String("stack", e.Stack))
	}
	return level, message, attrs
}

func (r *registry) publishFailure(ctx actor.Context, s slot, ev task.Event, m *attemptEnded) {
	if ev.Outcome == task.Succeeded {
		return
	}
	e := r.tasks.get(s)
	from := r.tasks.origins.get(e.origin)
	ctx.ActorSystem().EventStream.Publish(AttemptFailed{
		ID: e.ID, Attempt: ev.Attempt, Source: from.source, EventType: from.eventType, Handler: m.handler,
		Outcome: ev.Outcome, Next: ev.Next, DueAt: time.Unix(0, ev.DueAt), Err: m.err, Stack: m.stack, Took: m.took,
	})
}
