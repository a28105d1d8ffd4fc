package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/client"
)

// daemon answers each request in turn by a script, and remembers what was asked.
type daemon struct {
	mu     sync.Mutex
	asked  []*http.Request
	script []func(w http.ResponseWriter)
}

func (d *daemon) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	step := d.script[min(len(d.asked), len(d.script)-1)]
	d.asked = append(d.asked, r)
	d.mu.Unlock()
	step(w)
}

func serve(t *testing.T, script ...func(http.ResponseWriter)) (*daemon, *client.Client) {
	t.Helper()
	d := &daemon{script: script}
	server := httptest.NewServer(d)
	t.Cleanup(server.Close)
	return d, client.New(server.URL+"/", "the-token")
}

func says(text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { _, _ = io.WriteString(w, text) }
}

func refuses(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"title":"No","status":%d}`, code)
	}
}

func TestFollowGoesOnWhereItWas(t *testing.T) {
	d, api := serve(t,
		says("retry: 2000\nid: e-0\n: open\n\nid: e-1\nevent: task\ndata: {\"id\":\"a\",\"status\":\"queued\"}\n\n"+
			"id: e-2\nevent: novelty\ndata: {}\n\nid: e-3\nevent: task\ndata: broken\n\n"),
		refuses(503),
		says("id: f-0\n: open\n\nid: f-0\nevent: reset\ndata: {}\n\nid: f-1\nevent: lane\ndata: {\"key\":\"k\",\"paused\":true}\n\n"),
		refuses(401),
	)
	var events []client.Event
	err := api.Follow(t.Context(), client.Selection{Source: "s", Statuses: []string{"queued"}}, func(e client.Event) error {
		events = append(events, e)
		return nil
	})
	var refused *client.Problem
	if !errors.As(err, &refused) || refused.Status != 401 {
		t.Errorf("ended with %v", err)
	}
	want := []client.Event{
		{ID: "e-1", Task: &client.TaskEvent{ID: "a", Status: "queued"}}, {ID: "f-0"},
		{ID: "f-1", Lane: &client.LaneEvent{Key: "k", Paused: true}},
	}
	if !reflect.DeepEqual(events, want) {
		t.Errorf("got %+v", events)
	}
	var lastIDs []string
	for _, r := range d.asked {
		lastIDs = append(lastIDs, r.Header.Get("Last-Event-ID"))
		if r.URL.RequestURI() != "/api/v1/stream?source=s&status=queued" || r.Header.Get("Authorization") != "Bearer the-token" {
			t.Errorf("asked for %s with %v", r.URL, r.Header)
		}
	}
	if want := []string{"", "e-3", "e-3", "f-1"}; !reflect.DeepEqual(lastIDs, want) {
		t.Errorf("went on after %q, want %q", lastIDs, want)
	}
}

func TestFollowEndsWithItsContextItsFunctionAndARefusal(t *testing.T) {
	told := says("id: 1\nevent: task\ndata: {}\n\n")
	ctx, cancel := context.WithCancel(t.Context())
	_, api := serve(t, told)
	if err := api.Follow(ctx, client.Selection{}, func(client.Event) error { cancel(); return nil }); err != nil {
		t.Errorf("after the end of its context: %v", err)
	}
	enough := errors.New("enough")
	if err := api.Follow(t.Context(), client.Selection{}, func(client.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("after an error: %v", err)
	}
	_, api = serve(t, refuses(503))
	var refused *client.Problem
	if err := api.Follow(t.Context(), client.Selection{}, nil); !errors.As(err, &refused) {
		t.Errorf("refused at once: %v", err)
	}
	if err := client.New("http://127.0.0.1:1", "").Follow(t.Context(), client.Selection{}, nil); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("with nobody there: %v", err)
	}
}

func TestTasksAsksForWhatIsWanted(t *testing.T) {
	d, api := serve(t, says(`{"tasks":[{"id":"a","created_at":"2026-01-31T12:00:00.5Z"}],"next":"a"}`))
	at := time.Date(2026, 1, 31, 13, 0, 0, 0, time.FixedZone("", 3600))
	page, err := api.Tasks(t.Context(), client.TaskQuery{
		Selection:   client.Selection{Statuses: []string{"failed", "cancelled"}, Source: "s", Event: "e", Key: "o/r#1", Route: "r"},
		DeadLetters: true, Error: "x y", From: at, Until: at.Add(time.Second), MinAge: 15 * time.Minute, After: "c", Limit: 7,
	})
	if err != nil || len(page.Tasks) != 1 || page.Next == nil || page.Tasks[0].CreatedAt.Nanosecond() != 5e8 {
		t.Fatalf("%+v, %v", page, err)
	}
	want := "/api/v1/tasks?after=c&dead_letters=true&error=x+y&event=e&from=2026-01-31T12%3A00%3A00Z&key=o%2Fr%231&limit=7" +
		"&min_age=15m0s&route=r&source=s&status=failed&status=cancelled&until=2026-01-31T12%3A00%3A01Z"
	if got := d.asked[0].URL.RequestURI(); got != want {
		t.Errorf("asked for\n%s, want\n%s", got, want)
	}
	if _, err := api.Tasks(t.Context(), client.TaskQuery{}); err != nil || d.asked[1].URL.RequestURI() != "/api/v1/tasks?" {
		t.Errorf("without a query: %s, %v", d.asked[1].URL, err)
	}
}

func TestABodyIsReadByteForByte(t *testing.T) {
	for answer, want := range map[string]string{
		`{"delivery":{"text":"a\u0000\n"}}`:  "a\x00\n",
		`{"delivery":{"base64":"//4="}}`:     "\xff\xfe",
		`{"delivery":{"text":"","bytes":0}}`: "",
	} {
		_, api := serve(t, says(answer))
		task, err := api.Task(t.Context(), "a/b")
		if err != nil || string(task.Delivery.Body()) != want {
			t.Errorf("%s: %+v, %v", answer, task, err)
		}
	}
	_, api := serve(t, says(`{"delivery":null}`))
	if task, err := api.Task(t.Context(), "a"); err != nil || task.Delivery != nil {
		t.Errorf("without a delivery: %+v, %v", task, err)
	}
}
