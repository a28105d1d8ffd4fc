// Package tracing follows a delivery through the daemon as one OpenTelemetry trace: the request, the append that makes it
// durable, and each attempt with the wait before it and what the handler sent on. What the trace is called travels as the
// W3C's Trace Context: with the delivery to the disk, so that attempts after a restart are part of it, and in the context
// of an attempt to its handler, which sends it on. There is no other way for it to travel.
//
// A nil *Tracer is tracing that is off: it begins nothing, and what the sender called its trace is passed on as it came.
//
// The one invariant: nothing here ever waits for the collector.
package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/sirupsen/logrus"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/hooktroupe/hooktroupe/internal/clock"
)

// scope names what makes the spans.
const scope = "github.com/hooktroupe/hooktroupe"

// The bounds and defaults of a Tracer.
const (
	// DefaultPath is that of an endpoint that has none.
	DefaultPath = "/v1/traces"
	// DefaultService is what the daemon calls itself.
	DefaultService = "hooktroupe"

	maxValueBytes = 256 // of an attribute
	exportTimeout = 10 * time.Second
)

// Config is what the operator may choose.
type Config struct {
	// Endpoint is the URL of a collector that takes OTLP over HTTP. Without a path it is DefaultPath's.
	Endpoint string
	// Headers go with every export; they may hold credentials.
	Headers map[string]string
	// SampleRatio is the part of the traces begun here that is recorded, 0 to 1. It is decided once for each.
	SampleRatio float64
	// Continue names the sources whose senders are trusted with a trace: theirs goes on here, recorded if they recorded
	// it. Any other trace begins here, and links to what the sender said.
	Continue []string
	// Service names the daemon; empty means DefaultService. Version is its version.
	Service, Version string
}

// Counter counts.
type Counter interface{ Add(n float64) }

// Dependencies are what a Tracer works with; all are required.
type Dependencies struct {
	// Clock times batches and spans.
	Clock clock.Clock
	// Exported counts spans that the collector took, QueueFull and Failed those that it never got.
	Exported, QueueFull, Failed Counter
	// Log gets failed exports, one a minute at most.
	Log logrus.FieldLogger
}

// Tracer begins spans. It is safe for use by many goroutines.
type Tracer struct {
	tracer    trace.Tracer
	provider  *sdktrace.TracerProvider
	clock     clock.Clock
	continued map[string]struct{}
}

// New returns a Tracer that sends what it records to the endpoint, until Shutdown. It does not dial.
func New(ctx context.Context, cfg Config, deps Dependencies) (*Tracer, error) {
	endpoint, err := ParseEndpoint(cfg.Endpoint)
	if err != nil {
		return nil, err
	}
	headers := cfg.Headers
	if headers == nil {
		headers = map[string]string{} // nor those of the environment
	}
	exporter, err := otlptracehttp.New(ctx,
		otlptracehttp.WithEndpointURL(endpoint),
		otlptracehttp.WithHeaders(headers),
		otlptracehttp.WithTimeout(exportTimeout),
		otlptracehttp.WithCompression(otlptracehttp.GzipCompression),
		otlptracehttp.WithHTTPClient(&http.Client{
			Transport: &http.Transport{MaxIdleConns: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true},
			Timeout:   exportTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse // the headers are for the endpoint alone
			},
		}),
		otlptracehttp.WithRetry(otlptracehttp.RetryConfig{
			Enabled: true, InitialInterval: time.Second, MaxInterval: 5 * time.Second, MaxElapsedTime: 2 * exportTimeout,
		}),
	)
	if err != nil {
		return nil, fmt.Errorf("tracing: %w", err)
	}
	return newTracer(cfg, deps.Clock, newQueue(deps, exporter)), nil
}

func newTracer(cfg Config, c clock.Clock, spans sdktrace.SpanProcessor) *Tracer {
	service := cfg.Service
	if service == "" {
		service = DefaultService
	}
	limits := sdktrace.NewSpanLimits()
	limits.AttributeValueLengthLimit = maxValueBytes
	provider := sdktrace.NewTracerProvider(
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(cfg.SampleRatio))),
		sdktrace.WithRawSpanLimits(limits),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", service), attribute.String("service.version", cfg.Version),
		)),
		sdktrace.WithSpanProcessor(spans),
	)
	t := &Tracer{
		tracer: provider.Tracer(scope), provider: provider, clock: c, continued: make(map[string]struct{}),
	}
	for _, source := range cfg.Continue {
		t.continued[source] = struct{}{}
	}
	return t
}

// ParseEndpoint checks the URL of a collector, and fills in the path.
func ParseEndpoint(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return "", errors.New("is not a URL")
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return "", errors.New("is not a URL such as http://127.0.0.1:4318")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", errors.New("holds more than scheme, host, port and path: credentials belong into headers")
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = DefaultPath
	}
	return u.String(), nil
}

// Shutdown sends what has ended, for as long as ctx allows, and ends the exporter.
func (t *Tracer) Shutdown(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}
