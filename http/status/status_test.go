package status_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttputil"

	"github.com/hooktroupe/hooktroupe/http/audit"
	"github.com/hooktroupe/hooktroupe/http/auth"
	"github.com/hooktroupe/hooktroupe/http/ingress/health"
	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/http/stream"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
)

const second = int64(time.Second)

// failed has every field set, done as few as there can be.
var (
	failed = &messages.Task{
		WebhookId: "0190-a", Source: "github", EventType: "pull_request.opened", DeliveryId: "d-1", Key: "o/r#1",
		Status: messages.Status_STATUS_RETRYING, CreatedAt: 1700000000 * second, UpdatedAt: 1700000001*second + 250_000_000,
		DueAt: 1700000009 * second, Attempts: 2, MaxAttempts: 3, Error: "it broke", Result: []byte("half done"),
		AttemptLog: []*messages.Attempt{
			{
				Number: 1, StartedAt: 1700000000 * second, EndedAt: 1700000001 * second,
				Outcome: messages.Outcome_OUTCOME_TIMED_OUT, Error: "it broke",
			},
			{Number: 2, StartedAt: 1700000002 * second},
		},
	}
	done = &messages.Task{
		WebhookId: "0190-b", Source: "shop", EventType: "order", Status: messages.Status_STATUS_COMPLETED,
		CreatedAt: 1, UpdatedAt: 2, Attempts: 1, Result: []byte(`{"n":1}`),
	}
)

// tasks is a daemon of two tasks that remembers what it was asked.
type tasks struct {
	err      error
	next     string
	query    status.Query
	reason   string
	delivery *messages.Delivery
}

func (f *tasks) Get(_ context.Context, id string) (*messages.Task, error) {
	for _, task := range []*messages.Task{failed, done} {
		if task.GetWebhookId() == id {
			return task, f.err
		}
	}
	return nil, f.err
}

func (f *tasks) Delivery(ctx context.Context, id string) (*messages.Task, *messages.Delivery, error) {
	task, err := f.Get(ctx, id)
	if task == nil {
		return nil, nil, err
	}
	return task, f.delivery, err
}

func (f *tasks) List(_ context.Context, q status.Query) ([]*messages.Task, string, error) {
	f.query = q
	return []*messages.Task{failed, done}, f.next, f.err
}

func (f *tasks) Counts(context.Context) (*messages.GetCountsReply, error) {
	return &messages.GetCountsReply{Queued: 1, Processing: 2, Retrying: 3, Completed: 4, Failed: 5, Cancelled: 6,
		Superseded: 7, OldestWaitingAt: 1700000000 * second}, f.err
}

func (f *tasks) Cancel(ctx context.Context, id, reason string) (*messages.Task, *messages.TaskRefused, error) {
	f.reason = reason
	return f.Retry(ctx, id)
}

func (f *tasks) Retry(_ context.Context, id string) (*messages.Task, *messages.TaskRefused, error) {
	switch {
	case f.err != nil:
		return nil, nil, f.err
	case id == failed.GetWebhookId():
		return failed, nil, nil
	case id == done.GetWebhookId():
		return nil, &messages.TaskRefused{Detail: "it is completed"}, nil
	default:
		return nil, &messages.TaskRefused{NotFound: true}, nil
	}
}

// api is a Handler served in memory, every answer of which is held against openapi.yaml.
type api struct {
	*status.Handler
	t       *testing.T
	client  *nethttp.Client
	router  routers.Router
	tasks   *tasks
	lanes   lanes
	replays replays
	past    hour
	feed    *stream.Feed
	clock   *clock.Fake
	sources watched
	ready   status.Readiness
	metrics *metrics.Set
	cluster status.Cluster
}

func newAPI(t *testing.T) *api {
	t.Helper()
	log := logrus.New()
	log.SetOutput(io.Discard)
	a := &api{t: t, tasks: &tasks{}, metrics: metrics.New(), ready: status.Readiness{Ready: true},
		feed: stream.New(300, time.Unix(1700000000, 0)), clock: clock.NewFake(time.Unix(1700000060, 0))}
	a.Handler = status.New(status.Dependencies{
		Tasks:   a.tasks,
		Lanes:   &a.lanes,
		Replays: &a.replays,
		History: &a.past,
		Routes:  &a.past,
		Budgets: func() []status.Budget { return []status.Budget{{Name: "journal", Unit: "bytes", Used: 1, Limit: 2}} },
		Sources: a,
		Health:  status.Health{Ready: func() status.Readiness { return a.ready }},
		Cluster: func() status.Cluster { return a.cluster },
		Metrics: a.metrics,
		Changes: a.feed,
		Audit:   audit.New(log),
		Clock:   a.clock,
		Log:     log,
	})
	listener := fasthttputil.NewInmemoryListener()
	server := &fasthttp.Server{Handler: a.serve, Logger: log, StreamRequestBody: true, NoDefaultServerHeader: true, NoDefaultContentType: true}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	transport := &nethttp.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return listener.Dial() },
	}
	a.client = &nethttp.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = listener.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	a.router = a.contract()
	return a
}

// serve lets everybody in who does not say otherwise.
func (a *api) serve(ctx *fasthttp.RequestCtx) {
	scope := auth.Admin
	if word := ctx.Request.Header.Peek("X-Scope"); len(word) > 0 {
		scope, _ = auth.ParseScope(string(word))
	}
	auth.Identify(ctx, auth.Principal{Name: "tester", Scope: scope})
	a.Handle(ctx)
}

// Reports is status.Sources.
func (a *api) Reports() []health.Report { return a.sources.Reports() }

// contract loads and checks the document as it is served.
func (a *api) contract() routers.Router {
	a.t.Helper()
	resp, text := a.send("GET", "/api/openapi.yaml")
	if got := resp.Header.Get("Content-Type"); got != "application/yaml" {
		a.t.Errorf("openapi.yaml is served as %s", got)
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		a.t.Fatalf("openapi.yaml: %v", err)
	}
	if err := doc.Validate(a.t.Context()); err != nil {
		a.t.Fatalf("openapi.yaml: %v", err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		a.t.Fatalf("openapi.yaml: %v", err)
	}
	return router
}

func (a *api) send(method, target string, content ...string) (*nethttp.Response, []byte) {
	a.t.Helper()
	text := strings.NewReader(strings.Join(content, ""))
	req, err := nethttp.NewRequestWithContext(a.t.Context(), method, "http://localhost"+target, text)
	if err != nil {
		a.t.Fatal(err)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp, body
}

// call sends a request, holds the answer against the contract and returns its body.
func (a *api) call(method, target string, want int, content ...string) []byte {
	a.t.Helper()
	resp, body := a.send(method, target, content...)
	if resp.StatusCode != want {
		a.t.Errorf("%s %s: %d %s, want %d", method, target, resp.StatusCode, body, want)
	}
	if resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		a.t.Errorf("%s %s: headers %v", method, target, resp.Header)
	}
	route, params, err := a.router.FindRoute(resp.Request)
	if err == nil {
		answered.Store(route.Operation.OperationID, true)
	}
	if err != nil {
		a.t.Errorf("%s %s is not in the contract: %v", method, target, err)
		return body
	}
	err = openapi3filter.ValidateResponse(a.t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: resp.Request, PathParams: params, Route: route,
		},
		Status: resp.StatusCode,
		Header: resp.Header,
		Body:   io.NopCloser(bytes.NewReader(body)),
	})
	if err != nil {
		a.t.Errorf("%s %s breaks the contract: %v", method, target, err)
	}
	return body
}

func TestOneTask(t *testing.T) {
	a := newAPI(t)
	var got, want any
	unmarshal(t, a.call("GET", "/api/v1/webhook_status/0190-a", 200), &got)
	unmarshal(t, []byte(`{
		"webhook_id": "0190-a", "status": "retrying", "created_at": 1700000000, "updated_at": 1700000001.25,
		"due_at": 1700000009, "attempts": 2, "max_attempts": 3, "source": "github", "event_type": "pull_request.opened",
		"delivery_id": "d-1", "key": "o/r#1", "error": "it broke", "result": "half done", "attempt_log": [
			{"number": 1, "started_at": 1700000000, "ended_at": 1700000001, "outcome": "timed_out", "error": "it broke"},
			{"number": 2, "started_at": 1700000002, "ended_at": null, "outcome": null, "error": null}
		], "route": "", "parent_id": null, "parts": []}`), &want)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	var small struct {
		Error  *string
		Result map[string]int
		DueAt  *float64 `json:"due_at"`
	}
	unmarshal(t, a.call("GET", "/api/v1/webhook_status/0190-b", 200), &small)
	if small.Error != nil || small.Result["n"] != 1 || small.DueAt != nil {
		t.Errorf("a completed task is shown as %+v", small)
	}
}

func TestList(t *testing.T) {
	a := newAPI(t)
	a.tasks.next = "cursor-2"
	var page struct {
		Webhooks []map[string]any
		Count    int
		Next     *string
	}
	target := "/api/v1/webhook_statuses?status=failed,retrying&status=queued&source=github&event=push&after=c-1&limit=7"
	unmarshal(t, a.call("GET", target, 200), &page)
	if page.Count != 2 || len(page.Webhooks) != 2 || page.Next == nil || *page.Next != "cursor-2" {
		t.Errorf("the page is %+v", page)
	}
	want := status.Query{
		Statuses: []messages.Status{
			messages.Status_STATUS_FAILED, messages.Status_STATUS_RETRYING, messages.Status_STATUS_QUEUED,
		},
		Source: "github", Event: "push", After: "c-1", Limit: 7,
	}
	if !reflect.DeepEqual(a.tasks.query, want) {
		t.Errorf("asked for %+v, want %+v", a.tasks.query, want)
	}
	a.tasks.next = ""
	page.Next = nil
	unmarshal(t, a.call("GET", "/api/v1/webhook_statuses", 200), &page)
	if page.Next != nil || !reflect.DeepEqual(a.tasks.query, status.Query{Limit: status.DefaultLimit}) {
		t.Errorf("without parameters: next %v, asked for %+v", page.Next, a.tasks.query)
	}
}

func TestCommands(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/api/v1/tasks/0190-a/cancel?reason=too+late", 200)
	if a.tasks.reason != "too late" {
		t.Errorf("cancelled for %q", a.tasks.reason)
	}
	a.call("POST", "/api/v1/tasks/0190-a/cancel", 200)
	if a.tasks.reason == "" {
		t.Error("cancelled for no reason")
	}
	a.call("POST", "/api/v1/tasks/0190-a/retry", 200)
}

func TestRefusals(t *testing.T) {
	a := newAPI(t)
	long := strings.Repeat("x", 257)
	for _, c := range []struct {
		method, target string
		status         int
		slug           string
	}{
		{"GET", "/api/v1/webhook_status/none", 404, "task-not-found"},
		{"GET", "/api/v1/webhook_status/" + long, 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_status/a%20b", 400, "bad-parameter"},
		{"POST", "/api/v1/tasks/none/retry", 404, "task-not-found"},
		{"POST", "/api/v1/tasks/none/cancel", 404, "task-not-found"},
		{"POST", "/api/v1/tasks/0190-b/retry", 409, "task-conflict"},
		{"POST", "/api/v1/tasks/0190-b/cancel", 409, "task-conflict"},
		{"POST", "/api/v1/tasks/a%3Cb/retry", 400, "bad-parameter"},
		{"POST", "/api/v1/tasks/a%3Cb/cancel", 400, "bad-parameter"},
		{"POST", "/api/v1/tasks/0190-a/cancel?reason=" + long, 400, "bad-parameter"},
		{"POST", "/api/v1/tasks/0190-a/cancel?reason=a%0Ab", 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?status=lost", 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?limit=0", 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?limit=1001", 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?limit=many", 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?source=" + long, 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?event=%00", 400, "bad-parameter"},
		{"GET", "/api/v1/webhook_statuses?after=%C3%A9", 400, "bad-parameter"},
	} {
		if body := a.call(c.method, c.target, c.status); !bytes.Contains(body, []byte(":"+c.slug+`"`)) {
			t.Errorf("%s %s: %s, want %s", c.method, c.target, body, c.slug)
		}
	}
}

func TestNoAnswerInTime(t *testing.T) {
	a := newAPI(t)
	a.tasks.err = errors.New("the registry is busy")
	for method, targets := range map[string][]string{
		"GET":  {"/api/v1/webhook_status/0190-a", "/api/v1/webhook_statuses"},
		"POST": {"/api/v1/tasks/0190-a/cancel", "/api/v1/tasks/0190-a/retry"},
	} {
		for _, target := range targets {
			if body := a.call(method, target, 503); bytes.Contains(body, []byte("busy")) {
				t.Errorf("%s tells what went wrong inside: %s", target, body)
			}
			if resp, _ := a.send(method, target); resp.Header.Get("Retry-After") != "1" {
				t.Errorf("%s: no Retry-After", target)
			}
		}
	}
	a.call("GET", "/metrics", 200) // a scrape goes on without the counts
}

func TestAnOwnerThatIsAway(t *testing.T) {
	a := newAPI(t)
	a.tasks.err = fmt.Errorf("ask: %w", &status.Away{Detail: "shard 3 is with member b"})
	for method, target := range map[string]string{"GET": "/api/v1/tasks/0190-a", "POST": "/api/v1/tasks/0190-a/retry"} {
		body := string(a.call(method, target, 503))
		if !strings.Contains(body, ":owner-away") || !strings.Contains(body, "shard 3 is with member b") || strings.Contains(body, "may have been done") != (method == "POST") {
			t.Errorf("%s %s: %s", method, target, body)
		}
	}
}

func TestMethods(t *testing.T) {
	a := newAPI(t)
	for target, allowed := range map[string]string{
		"/healthz": "GET, HEAD, OPTIONS", "/readyz": "GET, HEAD, OPTIONS", "/metrics": "GET, HEAD, OPTIONS",
		"/api/openapi.yaml": "GET, HEAD, OPTIONS", "/api/v1/webhook_statuses": "GET, HEAD, OPTIONS",
		"/api/v1/webhook_status/0190-a": "GET, HEAD, OPTIONS",
		"/api/v1/tasks/0190-a/cancel":   "POST, OPTIONS", "/api/v1/tasks/0190-a/retry": "POST, OPTIONS",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			resp, body := a.send(method, target)
			switch {
			case method == "OPTIONS" && (resp.StatusCode != 204 || resp.Header.Get("Allow") != allowed):
				t.Errorf("OPTIONS %s: %d, Allow %q", target, resp.StatusCode, resp.Header.Get("Allow"))
			case strings.Contains(allowed, method) != (resp.StatusCode < 300):
				t.Errorf("%s %s: %d", method, target, resp.StatusCode)
			case resp.StatusCode == 405 && resp.Header.Get("Allow") != allowed:
				t.Errorf("%s %s: Allow %q", method, target, resp.Header.Get("Allow"))
			case method == "HEAD" && len(body) != 0:
				t.Errorf("HEAD %s has a body", target)
			}
		}
	}
}

func TestProbes(t *testing.T) {
	a := newAPI(t)
	a.call("GET", "/healthz", 200)
	a.call("GET", "/api/openapi.yaml", 200)
	a.ready.Details = map[string]any{"workers": 5}
	if body := a.call("GET", "/readyz", 200); !bytes.Contains(body, []byte(`"workers":5`)) {
		t.Errorf("details are missing: %s", body)
	}
	a.ready = status.Readiness{Reason: "recovery"}
	if body := a.call("GET", "/readyz", 503); !bytes.Contains(body, []byte(`"reason":"recovery"`)) {
		t.Errorf("the reason is missing: %s", body)
	}
	a.ready.Ready = true
	a.Drain()
	if body := a.call("GET", "/readyz", 503); !bytes.Contains(body, []byte(`"reason":"draining"`)) {
		t.Errorf("the reason is missing: %s", body)
	}
	a.call("GET", "/healthz", 200) // it still lives
}

func TestScrapeCountsTasks(t *testing.T) {
	a := newAPI(t)
	body := string(a.call("GET", "/metrics", 200))
	for _, want := range []string{
		`hooktroupe_tasks{status="queued"} 1`, `hooktroupe_tasks{status="processing"} 2`,
		`hooktroupe_tasks{status="retrying"} 3`, `hooktroupe_tasks{status="completed"} 4`,
		`hooktroupe_tasks{status="failed"} 5`, `hooktroupe_tasks{status="cancelled"} 6`,
		`hooktroupe_tasks{status="superseded"} 7`, "hooktroupe_tasks_oldest_waiting_seconds 60",
	} {
		if !strings.Contains(body, want+"\n") {
			t.Errorf("the scrape lacks %q", want)
		}
	}
}

// FuzzPath holds that no path panics, that what is answered at all was owned, and that a path with an ID in it is
// answered only when the ID is one segment.
func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		"/", "/healthz", "/metrics/", "/api/v1/tasks//cancel", "/api/v1/tasks/a/cancel/retry", "/api/v1/tasks/../x",
		"/api/v1/webhook_status/a/b", "/api/v1/webhook_status/%2e%2e/x", "//api/", "/api/v1/webhook_status/0190-a",
	} {
		f.Add("GET", seed)
		f.Add("POST", seed)
	}
	log := logrus.New()
	log.SetOutput(io.Discard)
	h := status.New(status.Dependencies{
		Tasks:   &tasks{},
		Health:  status.Health{Ready: func() status.Readiness { return status.Readiness{} }},
		Metrics: metrics.New(), Clock: clock.NewFake(time.Unix(0, 0)), Log: log, Audit: audit.New(log),
	})
	f.Fuzz(func(t *testing.T, method, path string) {
		if !strings.HasPrefix(path, "/") {
			return
		}
		var ctx fasthttp.RequestCtx
		ctx.Request.Header.SetMethod(method)
		ctx.URI().SetPath(path)
		h.Handle(&ctx)
		if code := ctx.Response.StatusCode(); code != 404 && !status.Owns(ctx.Path()) {
			t.Errorf("%s %q answers %d but is not owned", method, ctx.Path(), code)
		}
		if status.Probe(ctx.Path()) && !status.Owns(ctx.Path()) {
			t.Errorf("%q is a probe but not owned", ctx.Path())
		}
	})
}

func unmarshal(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
}

// own counts two tasks that wait.
type own struct{}

func (own) Counts(context.Context) (*messages.GetCountsReply, error) {
	return &messages.GetCountsReply{Queued: 2}, nil
}

// A member of a cluster answers for all tasks, but is scraped for its own: a sum over members counts each once.
func TestAScrapeCountsWhatIsOwn(t *testing.T) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	h := status.New(status.Dependencies{
		Tasks: &tasks{}, Own: own{},
		Metrics: metrics.New(), Clock: clock.NewFake(time.Unix(0, 0)), Log: log, Audit: audit.New(log),
	})
	var ctx fasthttp.RequestCtx
	ctx.URI().SetPath("/metrics")
	auth.Identify(&ctx, auth.Principal{Name: "tester", Scope: auth.Admin})
	h.Handle(&ctx)
	if body := string(ctx.Response.Body()); !strings.Contains(body, `hooktroupe_tasks{status="queued"} 2`) {
		t.Errorf("%d: %.400s", ctx.Response.StatusCode(), body)
	}
}
