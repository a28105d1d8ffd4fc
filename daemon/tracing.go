package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/tracing"
)

// flushTimeout bounds how long the last spans may take to be sent at a stop.
const flushTimeout = 5 * time.Second

// trace builds the tracer, where traces go anywhere. It is stopped after everything that it follows.
func (d *daemon) trace(ctx context.Context) error {
	c := d.config.Tracing
	if c.Endpoint == "" {
		return nil
	}
	m := &d.metrics.Traces
	built, err := tracing.New(ctx, tracing.Config{
		Endpoint: c.Endpoint, Headers: c.Headers, SampleRatio: c.SampleRatio, Continue: c.Continue, Service: c.Service,
		Version: d.options.Version,
	}, tracing.Dependencies{
		Clock: d.clock, Exported: m.Exported, QueueFull: m.Dropped.With("queue_full"), Failed: m.Dropped.With("export_failed"),
		Log: d.log,
	})
	if err != nil {
		return fmt.Errorf("tracing: %w", err)
	}
	d.tracer = built
	d.cleanup.push("traces", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
		defer cancel()
		if err := built.Shutdown(ctx); err != nil {
			d.log.WithError(err).Warn("the last traces were not sent")
		}
		return nil // what traces miss is no reason to end badly
	})
	return nil
}
