package tracing

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
)

// The headers of the W3C's Trace Context, in canonical form.
const (
	HeaderParent = "Traceparent"
	HeaderState  = "Tracestate"
)

// maxStateBytes bounds a tracestate; a longer one is left out, which the standard allows.
const maxStateBytes = 512

// carrier is the two headers as the propagator wants them.
type carrier struct{ parent, state string }

// Get is propagation.TextMapCarrier.
func (c *carrier) Get(key string) string {
	switch key {
	case "traceparent":
		return c.parent
	case "tracestate":
		return c.state
	default:
		return ""
	}
}

// Set is propagation.TextMapCarrier.
func (c *carrier) Set(key, value string) {
	switch key {
	case "traceparent":
		c.parent = value
	case "tracestate":
		c.state = value
	}
}

// Keys is propagation.TextMapCarrier.
func (c *carrier) Keys() []string { return []string{"traceparent", "tracestate"} }

// Follow returns a context whose work is part of what the two headers name. What is malformed names nothing.
func Follow(ctx context.Context, parent, state string) context.Context {
	if parent == "" {
		return ctx
	}
	if len(state) > maxStateBytes {
		state = ""
	}
	return propagation.TraceContext{}.Extract(ctx, &carrier{parent, state})
}

// Headers returns the two headers that name what a context is part of; both are empty where it is part of nothing.
func Headers(ctx context.Context) (parent, state string) {
	var c carrier
	propagation.TraceContext{}.Inject(ctx, &c)
	return c.parent, c.state
}
