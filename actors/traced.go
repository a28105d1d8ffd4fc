package actors

import (
	"sync/atomic"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/task"
)

// spanSlot passes the span of an attempt from the goroutine, which begins it once it has read what the trace is, to the
// actor, which ends it with the outcome. It is filled and ended once each, in any order.
type spanSlot struct {
	at atomic.Pointer[tracing.Attempt]
}

// over stands for the span of an attempt that ended before its goroutine came so far.
var over = new(tracing.Attempt)

// fill hands a span over; nil for none. One that comes too late is given up: it is part of no record.
func (s *spanSlot) fill(span *tracing.Attempt) {
	if span != nil {
		s.at.CompareAndSwap(nil, span)
	}
}

// end ends the span, if there is one.
func (s *spanSlot) end(o task.Outcome) {
	if span := s.at.Swap(over); span != nil && span != over {
		span.End(o.String(), o == task.Succeeded)
	}
}

// traced is what a trace says of an attempt.
func (a *attempts) traced(r *run, t *handler.Task) tracing.Work {
	return tracing.Work{
		TaskID: t.ID, Attempt: t.Attempt, Source: t.Source, EventType: t.EventType, Route: t.Route, Handler: r.binding.Name,
		Parent: r.parent, State: r.state,
		SenderParent: t.Get(tracing.HeaderParent), SenderState: t.Get(tracing.HeaderState),
		WaitingSince: time.Unix(0, r.assignment.waitingSince), StartedAt: r.startedAt,
	}
}
