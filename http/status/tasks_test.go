package status_test

import (
	"bytes"
	"encoding/json"
	nethttp "net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http/status"
	"github.com/hooktroupe/hooktroupe/messages"
)

// as sends a request with a scope and further headers, which come in pairs.
func (a *api) as(scope, method, target string, headers ...string) (*nethttp.Response, []byte) {
	a.t.Helper()
	req, err := nethttp.NewRequestWithContext(a.t.Context(), method, "http://localhost"+target, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("X-Scope", scope)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var body bytes.Buffer
	if _, err := body.ReadFrom(resp.Body); err != nil {
		a.t.Fatal(err)
	}
	return resp, body.Bytes()
}

func TestPage(t *testing.T) {
	a := newAPI(t)
	a.tasks.next = "cursor-2"
	var page struct {
		Tasks []map[string]any
		Next  *string
	}
	unmarshal(t, a.call("GET", "/api/v1/tasks?limit=2", 200), &page)
	want := map[string]any{
		"id": "0190-a", "status": "retrying", "source": "github", "event": "pull_request.opened", "route": "", "key": "o/r#1",
		"created_at": "2023-11-14T22:13:20Z", "updated_at": "2023-11-14T22:13:21.25Z", "due_at": "2023-11-14T22:13:29Z",
		"attempts": 2.0, "max_attempts": 3.0, "error": "it broke",
	}
	if len(page.Tasks) != 2 || !reflect.DeepEqual(page.Tasks[0], want) || page.Next == nil || *page.Next != "cursor-2" {
		t.Errorf("got  %v\nwant %v", page, want)
	}
	if page.Tasks[1]["due_at"] != nil || page.Tasks[1]["error"] != nil {
		t.Errorf("a completed task is shown as %v", page.Tasks[1])
	}
}

func TestPageFilters(t *testing.T) {
	a := newAPI(t) // it is 2023-11-14T22:14:20Z
	noon := time.Date(2023, 11, 14, 12, 0, 0, 0, time.UTC)
	failed := []messages.Status{messages.Status_STATUS_FAILED}
	for target, want := range map[string]status.Query{
		"":                                       {Limit: status.DefaultLimit},
		"?dead_letters=true&limit=5":             {Statuses: failed, Limit: 5},
		"?status=failed&limit=5":                 {Statuses: failed, Limit: 5},
		"?from=2023-11-14T12:00:00Z":             {From: noon, Limit: status.DefaultLimit},
		"?until=2023-11-14T12:00:00Z":            {Until: noon, Limit: status.DefaultLimit},
		"?min_age=14m20s":                        {Until: time.Unix(1700000060-860, 0), Limit: status.DefaultLimit},
		"?min_age=1h&until=2023-11-14T12:00:00Z": {Until: noon, Limit: status.DefaultLimit},
		"?max_age=14m20s":                        {From: time.Unix(1700000060-860, 0), Limit: status.DefaultLimit},
		"?max_age=99h&from=2023-11-14T12:00:00Z": {From: noon, Limit: status.DefaultLimit},
		"?source=s&event=e&key=k&route=r&error=x&after=c": {
			Source: "s", Event: "e", Key: "k", Route: "r", Error: "x", After: "c", Limit: status.DefaultLimit,
		},
		"?handler=h&text=Push": {Handler: "h", Text: "Push", Limit: status.DefaultLimit},
	} {
		a.call("GET", "/api/v1/tasks"+target, 200)
		got := a.tasks.query
		if !got.From.Equal(want.From) || !got.Until.Equal(want.Until) {
			t.Errorf("%s: from %v until %v, want %v and %v", target, got.From, got.Until, want.From, want.Until)
		}
		got.From, got.Until, want.From, want.Until = time.Time{}, time.Time{}, time.Time{}, time.Time{}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: asked for %+v, want %+v", target, got, want)
		}
	}
	for _, bad := range []string{
		"from=yesterday", "until=2023-11-14", "from=0001-01-01T00:00:00Z", "until=9999-01-01T00:00:00Z", "min_age=-1s",
		"min_age=old", "max_age=1", "text=%00", "handler=%C3%A9", "dead_letters=yes", "dead_letters=true&status=failed", "status=lost", "limit=0",
	} {
		a.call("GET", "/api/v1/tasks?"+bad, 400)
	}
	a.tasks.err = status.ErrBadCursor
	a.call("GET", "/api/v1/tasks?after=x", 400)
	a.call("GET", "/api/v1/webhook_statuses?after=x", 400)
}

func TestDetail(t *testing.T) {
	a := newAPI(t)
	a.tasks.delivery = &messages.Delivery{
		ReceivedAt: 1700000000 * second, Body: []byte(`{"n": 1.0}`),
		Headers: []*messages.Header{{Name: "X-Twice", Value: "a"}, {Name: "X-Twice", Value: "b"}},
	}
	var got map[string]any
	unmarshal(t, a.call("GET", "/api/v1/tasks/0190-a", 200), &got)
	want := map[string]any{
		"received_at": "2023-11-14T22:13:20Z", "bytes": 10.0, "text": `{"n": 1.0}`, "payload": map[string]any{"n": 1.0},
		"headers": []any{map[string]any{"name": "X-Twice", "value": "a"}, map[string]any{"name": "X-Twice", "value": "b"}},
	}
	if !reflect.DeepEqual(got["delivery"], want) {
		t.Errorf("got  %v\nwant %v", got["delivery"], want)
	}
	links := map[string]any{
		"self": "/api/v1/tasks/0190-a", "lane": "/api/v1/lanes/o%2Fr%231", "parent": nil, "parts": []any{},
		"retry": "/api/v1/tasks/0190-a/retry", "cancel": "/api/v1/tasks/0190-a/cancel",
	}
	if !reflect.DeepEqual(got["links"], links) {
		t.Errorf("got  %v\nwant %v", got["links"], links)
	}
	if log, _ := got["attempt_log"].([]any); len(log) != 2 || got["delivery_id"] != "d-1" || got["result"] != "half done" {
		t.Errorf("the detail is %v", got)
	}
	a.call("GET", "/api/v1/tasks/none", 404)
	a.call("GET", "/api/v1/tasks/a%20b", 400)
}

func TestBodiesAreShownAsWhatTheyAre(t *testing.T) {
	for body, want := range map[string]string{
		"":                 `"bytes":0,"text":""`,
		"plain":            `"bytes":5,"text":"plain"`,
		"null":             `"bytes":4,"text":"null","payload":null`,
		"\xff\xfe":         `"bytes":2,"base64":"//4="`,
		"{\"a\":\"\xff\"}": `"bytes":9,"base64":"eyJhIjoi/yJ9"`,
	} {
		a := newAPI(t)
		a.tasks.delivery = &messages.Delivery{Body: []byte(body)}
		if got := string(a.call("GET", "/api/v1/tasks/0190-b", 200)); !strings.Contains(got, want) {
			t.Errorf("%q: %s has no %s", body, got, want)
		}
	}
}

func TestDeliveriesTakeTheScopeOperate(t *testing.T) {
	a := newAPI(t)
	a.tasks.delivery = &messages.Delivery{Body: []byte("secret"), Headers: []*messages.Header{{Name: "A", Value: "secret"}}}
	for scope, shown := range map[string]bool{"read": false, "operate": true, "admin": true} {
		resp, body := a.as(scope, "GET", "/api/v1/tasks/0190-b")
		if resp.StatusCode != 200 || bytes.Contains(body, []byte("secret")) != shown {
			t.Errorf("%s: %d %s", scope, resp.StatusCode, body)
		}
	}
}

func TestScopesOfEndpoints(t *testing.T) {
	a := newAPI(t)
	for _, c := range []struct {
		scope, method, target string
		status                int
	}{
		{"none", "GET", "/healthz", 200}, {"none", "GET", "/readyz", 200}, {"none", "GET", "/metrics", 403},
		{"none", "GET", "/api/v1/tasks", 403}, {"read", "GET", "/api/v1/tasks", 200}, {"read", "GET", "/metrics", 200},
		{"read", "POST", "/api/v1/tasks/0190-a/retry", 403}, {"operate", "POST", "/api/v1/tasks/0190-a/retry", 200},
		{"read", "POST", "/api/v1/replays", 403}, {"read", "GET", "/api/v1/replays", 200},
		{"read", "POST", "/api/v1/lanes/r%231/pause", 403}, {"admin", "POST", "/api/v1/lanes/r%231/pause", 200},
	} {
		resp, body := a.as(c.scope, c.method, c.target)
		if resp.StatusCode != c.status || c.status == 403 && !bytes.Contains(body, []byte(":scope-too-small")) {
			t.Errorf("%+v: %d %s", c, resp.StatusCode, body)
		}
	}
}

func TestEntityTags(t *testing.T) {
	a := newAPI(t)
	first, body := a.as("admin", "GET", "/api/v1/tasks/0190-b")
	tag := first.Header.Get("ETag")
	if len(tag) != 34 || !json.Valid(body) {
		t.Fatalf("tag %q of %s", tag, body)
	}
	for header, want := range map[string]int{
		tag: 304, `"other", W/` + tag: 304, "*": 304, `"other"`: 200, "": 200, strings.Trim(tag, `"`): 200,
	} {
		resp, body := a.as("admin", "GET", "/api/v1/tasks/0190-b", "If-None-Match", header)
		if resp.StatusCode != want || resp.Header.Get("ETag") != tag || (len(body) == 0) != (want == 304) {
			t.Errorf("%q: %d, tag %q, %d bytes", header, resp.StatusCode, resp.Header.Get("ETag"), len(body))
		}
	}
	a.tasks.delivery = &messages.Delivery{Body: []byte("more")}
	if resp, _ := a.as("admin", "GET", "/api/v1/tasks/0190-b", "If-None-Match", tag); resp.StatusCode != 200 {
		t.Errorf("another answer has the same tag: %d", resp.StatusCode)
	}
}

func TestDeadLetters(t *testing.T) {
	a := newAPI(t)
	a.call("GET", "/api/v1/dead_letters?source=s&limit=3", 200)
	want := status.Query{Statuses: []messages.Status{messages.Status_STATUS_FAILED}, Source: "s", Limit: 3}
	if !reflect.DeepEqual(a.tasks.query, want) {
		t.Errorf("asked for %+v, want %+v", a.tasks.query, want)
	}
	a.call("GET", "/api/v1/dead_letters?status=completed", 400)
	a.call("GET", "/api/v1/dead_letters?dead_letters=true", 400)
}

func TestPagesNameTheNext(t *testing.T) {
	a := newAPI(t)
	a.tasks.next = "cursor/2"
	for target, want := range map[string]string{
		"/api/v1/tasks?limit=2&after=c%2F1&text=a%26b": `</api/v1/tasks?limit=2&after=cursor%2F2&text=a%26b>; rel="next"`,
		"/api/v1/dead_letters":                         `</api/v1/dead_letters?after=cursor%2F2>; rel="next"`,
		"/api/v1/webhook_statuses?limit=1":             `</api/v1/webhook_statuses?limit=1&after=cursor%2F2>; rel="next"`,
	} {
		resp, _ := a.send("GET", target)
		if got := resp.Header.Get("Link"); got != want {
			t.Errorf("%s: Link %s, want %s", target, got, want)
		}
	}
	a.tasks.next = ""
	if resp, _ := a.send("GET", "/api/v1/tasks"); resp.Header.Get("Link") != "" {
		t.Errorf("the last page names %s", resp.Header.Get("Link"))
	}
}

func TestListsHaveEntityTags(t *testing.T) {
	a := newAPI(t)
	for _, target := range []string{
		"/api/v1/tasks", "/api/v1/dead_letters", "/api/v1/lanes", "/api/v1/replays", "/api/v1/sources", "/api/v1/routes",
		"/api/v1/handlers", "/api/openapi.yaml",
	} {
		first, _ := a.as("admin", "GET", target)
		again, body := a.as("admin", "GET", target, "If-None-Match", first.Header.Get("ETag"))
		if again.StatusCode != 304 || len(body) != 0 {
			t.Errorf("%s, unchanged: %d, %d bytes", target, again.StatusCode, len(body))
		}
	}
}
