package daemontest_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/daemon/daemontest"
)

// told is one event of a stream.
type told struct {
	id, name string
	body     map[string]any
}

// follow opens the stream of a daemon and returns what it tells; closed at its end.
func follow(t *testing.T, d *daemontest.Daemon, lastID string) <-chan told {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+"/api/v1/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	events, done := make(chan told, 1000), make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		defer close(events)
		defer func() { _ = resp.Body.Close() }()
		var e told
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			name, value, _ := strings.Cut(lines.Text(), ": ")
			switch name {
			case "id":
				e.id = value
			case "event":
				e.name = value
			case "data":
				_ = json.Unmarshal([]byte(value), &e.body)
			case "":
				events <- e
				e = told{}
			}
		}
	}()
	return events
}

// next waits for the next event of that name.
func next(t *testing.T, events <-chan told, name string) told {
	t.Helper()
	for deadline := time.After(20 * time.Second); ; {
		select {
		case e, open := <-events:
			if !open {
				t.Fatalf("the stream ended before a %s", name)
			}
			if e.name == name {
				return e
			}
		case <-deadline:
			t.Fatalf("no %s", name)
		}
	}
}

func TestStreamOfTheWholeProcess(t *testing.T) {
	sink := daemontest.NewSink(t)
	d := start(t, configuration(sink.URL))
	events := follow(t, d, "")
	f := first(t, "github")
	answer := d.Must("POST", "/webhooks/github", signed(t, "github", f.Headers, f.body(t), secretOf("github")), f.body(t))
	var statuses []string
	var firstID string
	for len(statuses) < 3 {
		e := next(t, events, "task")
		if e.body["id"] != answer.Text("webhook_id") {
			t.Fatalf("told of %v", e.body)
		}
		if firstID == "" {
			firstID = e.id
		}
		statuses = append(statuses, e.body["status"].(string))
	}
	if want := []string{"queued", "processing", "completed"}; !slices.Equal(statuses, want) {
		t.Errorf("told %v, want %v", statuses, want)
	}
	if e := next(t, follow(t, d, firstID), "task"); e.body["status"] != "processing" {
		t.Errorf("goes on with %v", e.body)
	}
	shown := d.Must("GET", "/api/v1/tasks/"+answer.Text("webhook_id"), nil, nil).JSON()
	delivery, _ := shown["delivery"].(map[string]any)
	if delivery["text"] != string(f.body(t)) || delivery["payload"] == nil {
		t.Errorf("shown as %v", shown)
	}
	if d.Stop() != 0 {
		t.Error("did not end in order")
	}
	for range events {
	}
	d.Start()
	next(t, follow(t, d, firstID), "reset")
}
