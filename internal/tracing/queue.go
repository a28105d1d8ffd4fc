package tracing

import (
	"context"
	"errors"
	"sync"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/time/rate"
)

const (
	maxQueued = 4096            // spans that wait for the exporter
	maxBatch  = 512             // spans of one export
	linger    = 2 * time.Second // for which the first span of a batch waits for others
)

// queue stands between spans that end and the exporter. Who ends a span never waits: where the queue is full, the span is
// dropped and counted.
type queue struct {
	deps     Dependencies
	exporter sdktrace.SpanExporter
	spans    chan sdktrace.ReadOnlySpan // maxQueued, so that the memory of what waits is bounded
	due      chan struct{}              // one slot: a batch has lingered, or something waits for an empty queue
	warn     rate.Sometimes

	stopping context.Context // ends with Shutdown's context, or once all is sent
	cancel   context.CancelCauseFunc
	flush    chan chan struct{} // asks run to send what there is; it closes what it is given
	stop     sync.Once
	stopped  chan struct{} // closed by Shutdown: run ends when the queue is empty
	done     chan struct{} // closed when run has ended
}

// newQueue starts the one goroutine that exports; Shutdown stops it.
func newQueue(deps Dependencies, exporter sdktrace.SpanExporter) *queue {
	q := &queue{
		deps: deps, exporter: exporter, spans: make(chan sdktrace.ReadOnlySpan, maxQueued), due: make(chan struct{}, 1),
		warn: rate.Sometimes{First: 1, Interval: time.Minute}, flush: make(chan chan struct{}),
		stopped: make(chan struct{}), done: make(chan struct{}),
	}
	q.stopping, q.cancel = context.WithCancelCause(context.Background())
	go q.run()
	return q
}

// OnStart is sdktrace.SpanProcessor.
func (q *queue) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

// OnEnd is sdktrace.SpanProcessor.
func (q *queue) OnEnd(s sdktrace.ReadOnlySpan) {
	if !s.SpanContext().IsSampled() {
		return
	}
	select {
	case q.spans <- s:
	default:
		q.deps.QueueFull.Add(1)
	}
}

// ForceFlush is sdktrace.SpanProcessor.
func (q *queue) ForceFlush(ctx context.Context) error {
	sent := make(chan struct{})
	select {
	case q.flush <- sent:
	case <-q.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-sent:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Shutdown is sdktrace.SpanProcessor. It sends what has ended, for as long as ctx allows.
func (q *queue) Shutdown(ctx context.Context) error {
	q.stop.Do(func() { close(q.stopped) })
	select {
	case <-q.done:
	case <-ctx.Done():
		q.cancel(ctx.Err()) // the export under way ends, and with it run
		<-q.done
	}
	return errors.Join(ctx.Err(), q.exporter.Shutdown(ctx))
}

// run makes batches of what comes and exports them, one after the other.
func (q *queue) run() {
	defer close(q.done)
	batch := make([]sdktrace.ReadOnlySpan, 0, maxBatch)
	send := func() {
		q.export(batch)
		batch = batch[:0]
	}
	for {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) == maxBatch {
				send()
			} else if len(batch) == 1 {
				q.deps.Clock.AfterFunc(linger, q.wake)
			}
		case <-q.due:
			send()
		case sent := <-q.flush:
			batch = q.rest(batch)
			close(sent)
		case <-q.stopped:
			q.rest(batch)
			return
		}
	}
}

func (q *queue) wake() {
	select {
	case q.due <- struct{}{}:
	default: // it is to wake up already
	}
}

// rest exports the batch and all that waits behind it, and returns the batch, empty.
func (q *queue) rest(batch []sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	for {
		select {
		case s := <-q.spans:
			if batch = append(batch, s); len(batch) == maxBatch {
				q.export(batch)
				batch = batch[:0]
			}
		default:
			q.export(batch)
			return batch[:0]
		}
	}
}

// export sends one batch. One that fails, after the exporter's own retries, is lost and counted.
func (q *queue) export(batch []sdktrace.ReadOnlySpan) {
	if len(batch) == 0 {
		return
	}
	err := q.stopping.Err()
	if err == nil {
		ctx, cancel := context.WithTimeout(q.stopping, 3*exportTimeout)
		err = q.exporter.ExportSpans(ctx, batch)
		cancel()
	}
	if err == nil {
		q.deps.Exported.Add(float64(len(batch)))
		return
	}
	q.deps.Failed.Add(float64(len(batch)))
	q.warn.Do(func() {
		text := err.Error()
		q.deps.Log.WithField("error", text[:min(len(text), 512)]).WithField("spans", len(batch)).
			Warn("spans were not exported; more failures within a minute are only counted")
	})
}
