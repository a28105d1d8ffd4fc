package daemontest_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	"github.com/hooktroupe/hooktroupe/internal/tracing/tracingtest"
)

const (
	theirTrace  = "0af7651916cd43dd8448eb211c80319c"
	theirParent = "00-" + theirTrace + "-b7ad6b7169203331-01"
)

// sendTraced sends a signed delivery whose sender says what trace it is part of.
func sendTraced(t *testing.T, d *daemontest.Daemon, id string) string {
	t.Helper()
	body := []byte(`{"n": 1}`)
	headers := map[string]string{
		"Content-Type": "application/json", "X-GitHub-Event": "push", "X-GitHub-Delivery": id, "Traceparent": theirParent,
	}
	answer := d.Must(http.MethodPost, "/webhooks/github", signed(t, "github", headers, body, secret), body)
	if answer.Code != http.StatusAccepted {
		t.Fatalf("answered %d %s", answer.Code, answer.Body)
	}
	return answer.Text("webhook_id")
}

// ofTask are the spans of the trace that a task's request began, by name.
func ofTask(spans []tracingtest.Span, id string) (request tracingtest.Span, by map[string][]tracingtest.Span) {
	for _, s := range spans {
		if strings.HasPrefix(s.Name, "POST /webhooks/") && s.Attributes["hooktroupe.task_id"] == id {
			request = s
		}
	}
	by = make(map[string][]tracingtest.Span)
	for _, s := range spans {
		if request.Trace != "" && s.Trace == request.Trace {
			by[s.Name] = append(by[s.Name], s)
		}
	}
	return request, by
}

func TestATraceGoesOnAfterAKillBetweenAcceptAndAttempt(t *testing.T) {
	collector := tracingtest.New(t)
	reached, release := make(chan struct{}, 10), make(chan struct{})
	arrived := make(chan string, 10) // the traceparent of each request after the kill
	sink := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			if r.Header.Get("X-Hooktroupe-Delivery-Id") == "traced" {
				arrived <- r.Header.Get("Traceparent")
			}
		default:
			reached <- struct{}{}
			<-release
		}
	}))
	t.Cleanup(sink.Close)
	d := start(t, configuration(sink.URL)+fmt.Sprintf("\nNUM_WORKERS: 1\ntracing: {endpoint: %q, service: hooks}\n", collector.URL))
	sendTraced(t, d, "blocks") // holds the only worker
	<-reached
	id := sendTraced(t, d, "traced")
	collector.Await(t, "the request and its append were exported", func(spans []tracingtest.Span) bool {
		_, by := ofTask(spans, id)
		return len(by["append"]) == 1
	})
	d.Kill()
	close(release)
	d.Start()
	d.AwaitStatus(id, "completed")
	spans := collector.Await(t, "the attempt was exported", func(spans []tracingtest.Span) bool {
		_, by := ofTask(spans, id)
		return len(by["attempt"]) == 1
	})
	request, by := ofTask(spans, id)
	if len(by["wait"]) != 1 || len(by["POST"]) != 1 {
		t.Fatalf("the trace: %+v", by)
	}
	attempt, call := by["attempt"][0], by["POST"][0]
	for _, s := range []tracingtest.Span{by["append"][0], by["wait"][0], attempt} {
		if s.Parent != request.ID || s.Service != "hooks" {
			t.Errorf("%s is below %s of %s, want %s", s.Name, s.Parent, s.Service, request.ID)
		}
	}
	if call.Parent != attempt.ID || call.Attributes["http.response.status_code"] != "200" {
		t.Errorf("the call: %+v", call)
	}
	if got := <-arrived; got != "00-"+request.Trace+"-"+call.ID+"-01" {
		t.Errorf("the sink was told %q, the call is %s of %s", got, call.ID, request.Trace)
	}
	if wait := by["wait"][0]; wait.Start.Before(request.Start) || !wait.End.Equal(attempt.Start) || attempt.Attributes["hooktroupe.outcome"] != "succeeded" {
		t.Errorf("wait %+v, attempt %+v", wait, attempt)
	}
	// The sender's trace is not ours to write into.
	if request.Trace == theirTrace || len(request.Links) != 1 || request.Links[0] != theirTrace {
		t.Errorf("the request: %+v", request)
	}
	metrics := string(d.Must(http.MethodGet, "/metrics", nil, nil).Body)
	if !strings.Contains(metrics, "hooktroupe_traces_exported_spans_total") || strings.Contains(metrics, "hooktroupe_traces_exported_spans_total 0\n") {
		t.Error("exported spans were not counted")
	}
}

func TestATraceReachesHandlersOfEveryKind(t *testing.T) {
	collector := tracingtest.New(t)
	hub := freeAddress(t)
	d := start(t, fmt.Sprintf(`
remote: {listen: %q, insecure: true}
tracing: {endpoint: %q, sample_ratio: 0, continue: [github]}
sources: {github: {secret: env:TEST_SECRET}}
handlers:
  program: {type: exec, command: [printenv, TRACEPARENT]}
  member: {type: remote, kind: review}
routes: [{name: all, source: github, event: "*", handlers: [program, member]}]
`, hub, collector.URL))
	ctx, stop := context.WithCancel(context.Background())
	quiet := logrus.New()
	quiet.SetOutput(io.Discard)
	ended := make(chan error, 1)
	go func() { // until the test ends
		ended <- remote.Serve(ctx, remote.Config{
			Daemon: hub, Listen: "127.0.0.1:0", Kind: "review", Credits: 2, Insecure: true, Log: quiet,
			Handler: handler.Func(func(ctx context.Context, _ *handler.Task) ([]byte, error) {
				parent, _ := tracing.Headers(ctx)
				return []byte(parent), nil
			}),
		})
	}()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the member ended with %v", err)
		}
	})
	id := sendTraced(t, d, "both")
	d.AwaitStatus(id, "completed")
	if code := d.Stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	spans := collector.Spans() // what had ended was sent before the daemon was gone
	attempts := make(map[string]string)
	for _, s := range tracingtest.Named(spans, "attempt") {
		attempts[s.Attributes["hooktroupe.handler"]] = s.Trace + "-" + s.ID
	}
	d.Start()
	parts := d.Must(http.MethodGet, "/api/v1/tasks/"+id, nil, nil).JSON()["parts"].([]any)
	if len(parts) != 2 || len(attempts) != 2 {
		t.Fatalf("parts %v, attempts %v", parts, attempts)
	}
	for _, p := range parts {
		part := p.(map[string]any)
		got := d.Status(part["id"].(string)).Text("result")
		name := "member"
		if strings.Contains(part["route"].(string), "program") {
			name = "program"
		}
		if want := "00-" + attempts[name] + "-01"; strings.TrimSpace(got) != want || !strings.Contains(got, theirTrace) {
			t.Errorf("%s was told %q, want %q", name, got, want)
		}
	}
}

func TestACollectorThatIsGoneHoldsUpNothing(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL)+fmt.Sprintf("\ntracing: {endpoint: \"http://%s\"}\n", freeAddress(t)))
	for i := range 20 {
		d.AwaitStatus(sendTraced(t, d, fmt.Sprint(i)), "completed")
	}
	began := time.Now()
	if code := d.Stop(); code != 0 {
		t.Errorf("exit code %d\n%s", code, d.Log())
	}
	t.Logf("stopped within %v", time.Since(began))
}
