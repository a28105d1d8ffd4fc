package tracing_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/internal/tracing/tracingtest"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const (
	theirTrace  = "0af7651916cd43dd8448eb211c80319c"
	theirParent = "00-" + theirTrace + "-b7ad6b7169203331-01"
)

// bench is a Tracer with what it counts.
type bench struct {
	*tracing.Tracer
	exported, full, failed prometheus.Counter
}

func newBench(t *testing.T, cfg tracing.Config) *bench {
	t.Helper()
	count := func() prometheus.Counter { return prometheus.NewCounter(prometheus.CounterOpts{Name: "n"}) }
	b := &bench{exported: count(), full: count(), failed: count()}
	log := logrus.New()
	log.SetOutput(io.Discard)
	var err error
	b.Tracer, err = tracing.New(context.Background(), cfg, tracing.Dependencies{
		Clock: clock.NewFake(epoch), Exported: b.exported, QueueFull: b.full, Failed: b.failed, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop sends what there is, as far as the collector takes it at once.
func (b *bench) stop(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = b.Shutdown(ctx)
}

func delivery(source string) tracing.Delivery {
	return tracing.Delivery{
		Source: source, EventType: "push", Route: "/webhooks/" + source, Parent: theirParent, State: "vendor=1", ReceivedAt: epoch,
	}
}

// work is an attempt at what a request brought.
func work(r *tracing.Request) tracing.Work {
	parent, state := r.Headers()
	return tracing.Work{
		TaskID: "task", Attempt: 2, Source: "github", Route: "all", Handler: "sink", Parent: parent, State: state,
		SenderParent: theirParent, WaitingSince: epoch, StartedAt: epoch.Add(time.Minute),
	}
}

func TestOneTraceFromRequestToCall(t *testing.T) {
	collector := tracingtest.New(t)
	first := newBench(t, tracing.Config{
		Endpoint: collector.URL, SampleRatio: 1, Headers: map[string]string{"Authorization": "Bearer s3cret"},
	})
	r := first.Request(delivery("github"))
	r.Append()()
	r.End(http.StatusAccepted, "task")
	kept := work(r)
	first.stop(t)

	// Another process takes the attempt up, from what was kept.
	second := newBench(t, tracing.Config{Endpoint: collector.URL + "/v1/traces", SampleRatio: 0})
	ctx, attempt := second.Attempt(context.Background(), kept)
	call, ended := tracing.Call(ctx, "sink.example")
	sent, _ := tracing.Headers(call)
	ended(http.StatusOK)
	attempt.End("succeeded", true)
	second.stop(t)

	spans := collector.Spans()
	by := make(map[string]tracingtest.Span)
	for _, s := range spans {
		by[s.Name] = s
	}
	request := by["POST /webhooks/github"]
	if len(spans) != 5 || request.ID == "" {
		t.Fatalf("spans: %+v", spans)
	}
	for _, want := range []struct{ name, parent string }{
		{"append", request.ID}, {"wait", request.ID}, {"attempt", request.ID}, {"POST", by["attempt"].ID},
	} {
		if got := by[want.name]; got.Trace != request.Trace || got.Parent != want.parent {
			t.Errorf("%s is of trace %s below %s, want %s below %s", want.name, got.Trace, got.Parent, request.Trace, want.parent)
		}
	}
	if sent != "00-"+request.Trace+"-"+by["POST"].ID+"-01" {
		t.Errorf("sent on: %q", sent)
	}
	if request.Trace == theirTrace || request.Parent != "" || len(request.Links) != 1 || request.Links[0] != theirTrace {
		t.Errorf("a stranger's trace went on, or is not linked to: %+v", request)
	}
	if took := by["wait"].End.Sub(by["wait"].Start); took != time.Minute {
		t.Errorf("the wait took %v", took)
	}
	if a := by["attempt"].Attributes; a["hooktroupe.attempt"] != "2" || a["hooktroupe.outcome"] != "succeeded" || a["hooktroupe.handler"] != "sink" {
		t.Errorf("the attempt says %v", a)
	}
	if request.Attributes["http.response.status_code"] != "202" || request.Attributes["hooktroupe.task_id"] != "task" {
		t.Errorf("the request says %v", request.Attributes)
	}
	if testutil.ToFloat64(first.exported) != 2 || testutil.ToFloat64(second.exported) != 3 {
		t.Error("what was exported is not what is counted")
	}
	if got := collector.Headers()[0].Get("Authorization"); got != "Bearer s3cret" {
		t.Errorf("the first export came with %q", got)
	}
}

func TestTrustedSendersTracesGoOn(t *testing.T) {
	collector := tracingtest.New(t)
	b := newBench(t, tracing.Config{Endpoint: collector.URL, SampleRatio: 0, Continue: []string{"forge"}})
	r := b.Request(delivery("forge"))
	parent, state := r.Headers()
	if !strings.HasPrefix(parent, "00-"+theirTrace+"-") || !strings.HasSuffix(parent, "-01") || state != "vendor=1" {
		t.Errorf("goes on as %q, %q", parent, state)
	}
	r.End(http.StatusAccepted, "task")
	notRecorded := delivery("forge")
	notRecorded.Parent = strings.TrimSuffix(theirParent, "1") + "0"
	b.Request(notRecorded).End(http.StatusAccepted, "task")
	b.stop(t)
	spans := collector.Spans()
	if len(spans) != 1 || spans[0].Trace != theirTrace || spans[0].Parent != "b7ad6b7169203331" {
		t.Errorf("spans: %+v", spans)
	}
}

func TestWhatIsNotSampledIsNamedAllTheSame(t *testing.T) {
	collector := tracingtest.New(t)
	b := newBench(t, tracing.Config{Endpoint: collector.URL, SampleRatio: 0})
	r := b.Request(delivery("github"))
	ctx, attempt := b.Attempt(context.Background(), work(r))
	sent, _ := tracing.Headers(ctx)
	kept, _ := r.Headers()
	if len(sent) != 55 || !strings.HasSuffix(sent, "-00") || sent[:35] != kept[:35] || strings.Contains(sent, theirTrace) {
		t.Errorf("kept %q, sent on %q", kept, sent)
	}
	attempt.End("succeeded", true)
	r.End(http.StatusAccepted, "task")
	b.stop(t)
	if spans := collector.Spans(); len(spans) != 0 {
		t.Errorf("spans: %+v", spans)
	}
}

func TestOffPassesTheSendersTraceOn(t *testing.T) {
	var off *tracing.Tracer
	r := off.Request(delivery("github"))
	if parent, state := r.Headers(); parent != "" || state != "" {
		t.Errorf("kept %q, %q", parent, state)
	}
	r.Append()()
	r.End(http.StatusAccepted, "task")
	for _, c := range []struct{ parent, want string }{
		{theirParent, theirParent},
		{"", ""},
		{"00-" + theirTrace + "-0000000000000000-01", ""},
		{"00-" + theirTrace + "-b7ad6b7169203331-01\r\nX-Evil: 1", ""},
		{strings.Repeat("a", 10_000), ""},
	} {
		ctx, attempt := off.Attempt(context.Background(), tracing.Work{SenderParent: c.parent, SenderState: strings.Repeat("a=1,", 1000)})
		call, ended := tracing.Call(ctx, "sink.example")
		if got, state := tracing.Headers(call); got != c.want || state != "" {
			t.Errorf("%.80q is passed on as %q, %q", c.parent, got, state)
		}
		ended(http.StatusOK)
		attempt.End("succeeded", true)
	}
	// What was recorded before tracing was switched off goes before what the sender says.
	const ours = "00-11111111111111111111111111111111-2222222222222222-01"
	ctx, _ := off.Attempt(context.Background(), tracing.Work{Parent: ours, SenderParent: theirParent})
	if got, _ := tracing.Headers(ctx); got != ours {
		t.Errorf("sent on: %q", got)
	}
	if err := off.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestADeliveryAcceptedWithoutATraceGetsNone(t *testing.T) {
	collector := tracingtest.New(t)
	b := newBench(t, tracing.Config{Endpoint: collector.URL, SampleRatio: 1})
	ctx, attempt := b.Attempt(context.Background(), tracing.Work{SenderParent: theirParent})
	call, ended := tracing.Call(ctx, "sink.example")
	if got, _ := tracing.Headers(call); got != theirParent || attempt != nil {
		t.Errorf("passed on as %q, with span %v", got, attempt)
	}
	ended(http.StatusOK)
	b.stop(t)
	if spans := collector.Spans(); len(spans) != 0 {
		t.Errorf("a stranger began spans: %+v", spans)
	}
}

func TestACollectorThatRefusesIsCounted(t *testing.T) {
	collector := tracingtest.New(t)
	collector.Answer(http.StatusBadRequest)
	b := newBench(t, tracing.Config{Endpoint: collector.URL, SampleRatio: 1})
	b.Request(delivery("github")).End(http.StatusAccepted, "")
	b.stop(t)
	if testutil.ToFloat64(b.failed) != 1 || testutil.ToFloat64(b.exported) != 0 {
		t.Errorf("failed %v, exported %v", testutil.ToFloat64(b.failed), testutil.ToFloat64(b.exported))
	}
}

func TestEndpoints(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:4318":         "http://127.0.0.1:4318/v1/traces",
		"https://collector.example/":    "https://collector.example/v1/traces",
		"https://collector.example/api": "https://collector.example/api",
		"collector.example:4318":        "",
		"ftp://collector.example":       "",
		"http://user:pw@collector":      "",
		"http://collector/?key=1":       "",
		"":                              "",
	} {
		got, err := tracing.ParseEndpoint(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "pw") {
			t.Errorf("%q: the error quotes a credential", text)
		}
	}
}
