// Package tracingtest is a collector of OpenTelemetry traces for tests: it takes OTLP over HTTP, in protobuf, as a real one
// does, and tells what came.
package tracingtest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/protobuf/proto"
)

// patience bounds every wait.
const patience = 20 * time.Second

// Span is one that came, with what tests look at.
type Span struct {
	Name, Trace, ID, Parent string
	// Links are the traces that it links to.
	Links []string
	// Attributes are texts, whatever they were.
	Attributes map[string]string
	// Failed says that its status is an error.
	Failed     bool
	Start, End time.Time
	// Service is what its process calls itself.
	Service string
}

// Collector is a running one.
type Collector struct {
	// URL is its endpoint, without a path.
	URL string

	mu      sync.Mutex // guards what follows
	answer  int
	spans   []Span
	headers []http.Header
}

// New starts a collector, which ends with the test.
func New(t testing.TB) *Collector {
	c := &Collector{answer: http.StatusOK}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

// Answer makes it answer with a status from now on; what it gets with another than 200 it does not take.
func (c *Collector) Answer(status int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = status
}

// ServeHTTP takes an export.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	spans, err := decode(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header.Clone())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if c.answer != http.StatusOK {
		http.Error(w, "no", c.answer)
		return
	}
	c.spans = append(c.spans, spans...)
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func decode(r *http.Request) ([]Span, error) {
	if r.Method != http.MethodPost || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		return nil, fmt.Errorf("%s %s as %s", r.Method, r.URL.Path, r.Header.Get("Content-Type"))
	}
	body := r.Body.(io.Reader)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, err
		}
		body = unpacked
	}
	data, err := io.ReadAll(io.LimitReader(body, 16<<20))
	if err != nil {
		return nil, err
	}
	var request collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(data, &request); err != nil {
		return nil, err
	}
	var spans []Span
	for _, resource := range request.GetResourceSpans() {
		service := ""
		for _, a := range resource.GetResource().GetAttributes() {
			if a.GetKey() == "service.name" {
				service = a.GetValue().GetStringValue()
			}
		}
		for _, scope := range resource.GetScopeSpans() {
			for _, s := range scope.GetSpans() {
				span := Span{
					Name: s.GetName(), Trace: fmt.Sprintf("%x", s.GetTraceId()), ID: fmt.Sprintf("%x", s.GetSpanId()),
					Parent: fmt.Sprintf("%x", s.GetParentSpanId()), Failed: s.GetStatus().GetCode() == 2,
					Start: time.Unix(0, int64(s.GetStartTimeUnixNano())), End: time.Unix(0, int64(s.GetEndTimeUnixNano())),
					Attributes: make(map[string]string), Service: service,
				}
				for _, a := range s.GetAttributes() {
					text := a.GetValue().GetStringValue()
					if text == "" {
						text = fmt.Sprint(a.GetValue().GetIntValue())
					}
					span.Attributes[a.GetKey()] = text
				}
				for _, l := range s.GetLinks() {
					span.Links = append(span.Links, fmt.Sprintf("%x", l.GetTraceId()))
				}
				spans = append(spans, span)
			}
		}
	}
	return spans, nil
}

// Spans are those that came so far, in the order in which they ended.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Headers are those of the requests so far.
func (c *Collector) Headers() []http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]http.Header(nil), c.headers...)
}

// Await waits until the spans that came satisfy a condition, and returns them.
func (c *Collector) Await(t testing.TB, what string, yes func([]Span) bool) []Span {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		spans := c.Spans()
		if yes(spans) {
			return spans
		}
		if time.Now().After(deadline) {
			t.Fatalf("not so within %v: %s; there are %+v", patience, what, spans)
		}
	}
}

// Named are the spans of that name.
func Named(spans []Span, name string) []Span {
	var found []Span
	for _, s := range spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}
