package tracing

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Delivery is what a trace says of a verified delivery.
type Delivery struct {
	// Source and EventType are the delivery's. Route is the path it came by, as configured.
	Source, EventType, Route string
	// Parent and State are the sender's own headers.
	Parent, State string
	// ReceivedAt is when the request began.
	ReceivedAt time.Time
}

// Request is the span of the request that brought a delivery; nil where tracing is off.
type Request struct {
	tracer *Tracer
	ctx    context.Context
	span   trace.Span
}

// Request begins the trace of a delivery, or goes on with the sender's where that is trusted. Strangers begin none:
// only verified deliveries come here.
func (t *Tracer) Request(d Delivery) *Request {
	if t == nil {
		return nil
	}
	sender := Follow(context.Background(), d.Parent, d.State)
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithTimestamp(d.ReceivedAt),
		trace.WithAttributes(
			attribute.String("http.request.method", http.MethodPost),
			attribute.String("http.route", d.Route),
			attribute.String("hooktroupe.source", d.Source),
			attribute.String("hooktroupe.event_type", d.EventType),
		),
	}
	if _, trusted := t.continued[d.Source]; !trusted {
		if theirs := trace.SpanContextFromContext(sender); theirs.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: theirs}))
		}
		sender = context.Background()
	}
	r := &Request{tracer: t}
	r.ctx, r.span = t.tracer.Start(sender, "POST "+d.Route, options...)
	return r
}

// Headers name the request's span, for what the delivery brings about.
func (r *Request) Headers() (parent, state string) {
	if r == nil {
		return "", ""
	}
	return Headers(r.ctx)
}

// Append begins the span of making the delivery durable; end is called when it is, or is known not to be.
func (r *Request) Append() (end func()) {
	if r == nil {
		return func() {}
	}
	_, span := r.tracer.tracer.Start(r.ctx, "append", trace.WithTimestamp(r.tracer.clock.Now()))
	return func() { span.End(trace.WithTimestamp(r.tracer.clock.Now())) }
}

// End says how the request was answered, and which task came of it; empty for none.
func (r *Request) End(code int, taskID string) {
	if r == nil {
		return
	}
	r.span.SetAttributes(attribute.Int("http.response.status_code", code))
	if taskID != "" {
		r.span.SetAttributes(attribute.String("hooktroupe.task_id", taskID))
	}
	if code >= http.StatusInternalServerError {
		r.span.SetStatus(codes.Error, "")
	}
	r.span.End(trace.WithTimestamp(r.tracer.clock.Now()))
}

// Work is what a trace says of one attempt.
type Work struct {
	TaskID                            string
	Attempt                           int
	Source, EventType, Route, Handler string
	// Parent and State name the request's span, as they were recorded with the delivery; SenderParent and SenderState are
	// the sender's own headers, for a delivery that was recorded without.
	Parent, State, SenderParent, SenderState string
	// WaitingSince is when the task began to wait for the attempt, StartedAt when the attempt began.
	WaitingSince, StartedAt time.Time
}

// Attempt is the span of one attempt; nil where there is none.
type Attempt struct {
	span  trace.Span
	clock func() time.Time
}

// Attempt begins the span of an attempt, with that of the wait before it, and returns the handler's context, which names
// what the handler's work is part of. A delivery that was accepted without a trace gets none now: what its sender called
// its trace is passed on.
func (t *Tracer) Attempt(ctx context.Context, w Work) (context.Context, *Attempt) {
	if w.Parent == "" {
		return Follow(ctx, w.SenderParent, w.SenderState), nil
	}
	ctx = Follow(ctx, w.Parent, w.State)
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return ctx, nil
	}
	facts := trace.WithAttributes(
		attribute.String("hooktroupe.task_id", w.TaskID),
		attribute.Int("hooktroupe.attempt", w.Attempt),
		attribute.String("hooktroupe.source", w.Source),
		attribute.String("hooktroupe.event_type", w.EventType),
		attribute.String("hooktroupe.route", w.Route),
		attribute.String("hooktroupe.handler", w.Handler),
	)
	_, wait := t.tracer.Start(ctx, "wait", facts, trace.WithTimestamp(w.WaitingSince))
	wait.End(trace.WithTimestamp(w.StartedAt))
	ctx, span := t.tracer.Start(ctx, "attempt", facts,
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithTimestamp(w.StartedAt))
	return ctx, &Attempt{span: span, clock: t.clock.Now}
}

// End says how the attempt ended: outcome is a word of ours, never text of a sender or of a sink.
func (a *Attempt) End(outcome string, succeeded bool) {
	if a == nil {
		return
	}
	a.span.SetAttributes(attribute.String("hooktroupe.outcome", outcome))
	if !succeeded {
		a.span.SetStatus(codes.Error, outcome)
	}
	a.span.End(trace.WithTimestamp(a.clock()))
}

// Call begins the span of one HTTP request that a handler makes as part of ctx, to a host; end takes the status of the
// answer, zero for none. The context that it returns is that of the request.
func Call(ctx context.Context, host string) (call context.Context, end func(code int)) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
	ctx, span := tracer.Start(ctx, http.MethodPost, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		attribute.String("http.request.method", http.MethodPost),
		attribute.String("server.address", host),
	))
	return ctx, func(code int) {
		if code != 0 {
			span.SetAttributes(attribute.Int("http.response.status_code", code))
		}
		if code/100 != 2 {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}
