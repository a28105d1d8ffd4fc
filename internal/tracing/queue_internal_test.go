package tracing

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// stuckExporter does not return before its context ends.
type stuckExporter struct{ begun chan int }

func (e *stuckExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.begun <- len(spans)
	<-ctx.Done()
	return ctx.Err()
}

func (e *stuckExporter) Shutdown(context.Context) error { return nil }

func TestACollectorThatHangsHoldsUpNobody(t *testing.T) {
	count := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}) }
	exported, full, failed := count(), count(), count()
	log := logrus.New()
	log.SetOutput(io.Discard)
	exporter := &stuckExporter{begun: make(chan int, 100)}
	fake := clock.NewFake(time.Unix(1, 0))
	q := newQueue(Dependencies{Clock: fake, Exported: exported, QueueFull: full, Failed: failed, Log: log}, exporter)
	tracer := newTracer(Config{SampleRatio: 1}, fake, q)
	end := func(n int) {
		for range n {
			tracer.Request(Delivery{Source: "s", Route: "/webhooks/s", ReceivedAt: fake.Now()}).End(202, "")
		}
	}
	end(maxBatch)
	if n := <-exporter.begun; n != maxBatch {
		t.Fatalf("a batch of %d", n)
	}
	const tooMany = 100
	end(maxQueued + tooMany) // and nobody waits: the test would not end
	if got := testutil.ToFloat64(full); got != tooMany {
		t.Errorf("dropped %v for want of room, want %d", got, tooMany)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown: %v", err)
	}
	if got := testutil.ToFloat64(failed); got != maxBatch+maxQueued {
		t.Errorf("failed: %v, want %d", got, maxBatch+maxQueued)
	}
	if got := testutil.ToFloat64(exported); got != 0 {
		t.Errorf("exported: %v", got)
	}
}

// takingExporter takes everything.
type takingExporter struct{ got chan int }

func (e takingExporter) ExportSpans(_ context.Context, spans []sdktrace.ReadOnlySpan) error {
	e.got <- len(spans)
	return nil
}

func (e takingExporter) Shutdown(context.Context) error { return nil }

func TestABatchLingersForOthers(t *testing.T) {
	count := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}) }
	exporter := takingExporter{make(chan int, 10)}
	fake := clock.NewFake(time.Unix(1, 0))
	tracer := newTracer(Config{SampleRatio: 1}, fake, newQueue(Dependencies{
		Clock: fake, Exported: count(), QueueFull: count(), Failed: count(), Log: logrus.New(),
	}, exporter))
	for range 3 {
		tracer.Request(Delivery{Source: "s", Route: "/webhooks/s", ReceivedAt: fake.Now()}).End(202, "")
	}
	sum := 0
	for sum < 3 {
		select {
		case n := <-exporter.got:
			sum += n
		default:
			fake.Advance(linger) // the first of a batch sets the timer once the queue has it
		}
	}
	if err := tracer.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}
