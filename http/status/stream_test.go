package status_test

import (
	"bufio"
	"context"
	"fmt"
	nethttp "net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http/stream"
)

// told is a change that shows itself.
type told struct{ body any }

func (c told) Show() any { return c.body }

// reader reads a stream.
type reader struct {
	t     *testing.T
	lines *bufio.Scanner
	end   context.CancelFunc
	code  int
}

// follow opens a stream.
func (a *api) follow(target, lastID string) *reader {
	a.t.Helper()
	ctx, cancel := context.WithCancel(a.t.Context())
	a.t.Cleanup(cancel)
	req, err := nethttp.NewRequestWithContext(ctx, "GET", "http://localhost/api/v1/stream"+target, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = resp.Body.Close() })
	return &reader{t: a.t, lines: bufio.NewScanner(resp.Body), end: cancel, code: resp.StatusCode}
}

// next returns one block of the stream as a map of its fields; nil after the end.
func (r *reader) next() map[string]string {
	r.t.Helper()
	block := map[string]string{}
	for r.lines.Scan() {
		line := r.lines.Text()
		if line == "" {
			return block
		}
		name, value, _ := strings.Cut(line, ":")
		block[name] = strings.TrimPrefix(value, " ")
	}
	return nil
}

func task(id, source, status string) told {
	return told{stream.Task{ID: id, Source: source, Status: status, At: "2026-01-31T12:00:00Z"}}
}

func TestStreamTellsOfWhatWasMissed(t *testing.T) {
	a := newAPI(t)
	for _, target := range []string{"", "?source=github"} {
		r := a.follow(target, "")
		r.next()
		a.feed.Publish(told{stream.Reset{}})
		if got := r.next(); got["event"] != "reset" || got["id"] == "" {
			t.Errorf("stream%s: %v", target, got)
		}
		r.end()
	}
}

func TestStreamTellsAndGoesOn(t *testing.T) {
	a := newAPI(t)
	r := a.follow("", "")
	opened := r.next()
	if opened[""] != "open" || opened["retry"] != "2000" || opened["id"] == "" {
		t.Fatalf("opened with %v", opened)
	}
	a.feed.Publish(task("0190-a", "github", "queued"))
	first := r.next()
	want := `{"id":"0190-a","parent":null,"status":"queued","source":"github","event":"","route":"","key":"","attempts":0,` +
		`"at":"2026-01-31T12:00:00Z"}`
	if first["event"] != "task" || first["data"] != want {
		t.Errorf("got %v, want %s", first, want)
	}
	a.feed.Publish(told{stream.Lane{Key: "k", Paused: true}})
	a.feed.Publish(told{stream.Replay{ID: "1", State: "running"}})
	for _, want := range []string{"lane", "replay"} {
		if got := r.next(); got["event"] != want || got["data"] == "" {
			t.Errorf("got %v, want a %s", got, want)
		}
	}
	r.end()
	r = a.follow("", first["id"])
	r.next()
	if got := r.next(); got["event"] != "lane" {
		t.Errorf("goes on with %v", got)
	}
}

func TestStreamSaysWhatItDropped(t *testing.T) {
	a := newAPI(t)
	id := a.follow("", "").next()["id"]
	for i := range 301 {
		a.feed.Publish(task(fmt.Sprint(i), "s", "queued"))
	}
	for _, lastID := range []string{id, "of-another-process"} {
		r := a.follow("", lastID)
		r.next()
		if got := r.next(); got["event"] != "reset" || got["data"] != "{}" {
			t.Errorf("after %q: %v", lastID, got)
		}
		a.feed.Publish(task("after", "s", "queued"))
		if got := r.next(); !strings.Contains(got["data"], `"id":"after"`) {
			t.Errorf("after the reset: %v", got)
		}
	}
}

func TestStreamSelects(t *testing.T) {
	a := newAPI(t)
	r := a.follow("?source=github&status=completed,failed", "")
	r.next()
	a.feed.Publish(told{stream.Lane{Key: "k"}})
	a.feed.Publish(task("1", "github", "queued"))
	a.feed.Publish(task("2", "gitlab", "failed"))
	a.feed.Publish(task("3", "github", "failed"))
	if got := r.next(); !strings.Contains(got["data"], `"id":"3"`) {
		t.Errorf("got %v", got)
	}
	a.call("GET", "/api/v1/stream?status=lost", 400)
	if resp, _ := a.send("POST", "/api/v1/stream"); resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET, OPTIONS" {
		t.Errorf("POST: %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
}

func TestStreamGivesSignsOfLife(t *testing.T) {
	a := newAPI(t)
	r := a.follow("", "")
	r.next()
	for range 3 {
		a.awaitTimer()
		a.clock.Advance(15 * time.Second)
		if got := r.next(); got[""] != "still here" {
			t.Errorf("got %v", got)
		}
	}
}

// awaitTimer waits until a stream waits for its next sign of life.
func (a *api) awaitTimer() {
	for a.clock.Pending() == 0 {
		a.call("GET", "/healthz", 200)
	}
}

// TestStreamsDoNotOutliveTheirReadersRights: one that goes on has to ask again, and is judged again.
func TestStreamsDoNotOutliveTheirReadersRights(t *testing.T) {
	a := newAPI(t)
	r := a.follow("", "")
	id := r.next()["id"]
	for range 40 { // ten minutes
		a.awaitTimer()
		a.clock.Advance(15 * time.Second)
		if got := r.next(); got[""] != "still here" {
			t.Fatalf("got %v", got)
		}
	}
	if got := r.next(); got != nil {
		t.Fatalf("after ten minutes: %v", got)
	}
	a.feed.Publish(task("0190-a", "github", "queued"))
	r = a.follow("", id)
	r.next()
	if got := r.next(); got["event"] != "task" {
		t.Errorf("goes on with %v", got)
	}
}

func TestStreamsEndWithTheDaemon(t *testing.T) {
	a := newAPI(t)
	r := a.follow("", "")
	r.next()
	a.Drain()
	a.Drain()
	if got := r.next(); got != nil {
		t.Errorf("after the end: %v", got)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	a := newAPI(t)
	var open []*reader
	for range 64 {
		open = append(open, a.follow("", ""))
	}
	if slices.ContainsFunc(open, func(r *reader) bool { return r.code != 200 }) {
		t.Fatal("one of 64 streams was refused")
	}
	a.call("GET", "/api/v1/stream", 503)
	for _, r := range open { // those that have gone are found out when they are told something
		r.end()
	}
	deadline := time.Now().Add(20 * time.Second)
	for {
		a.feed.Publish(task("1", "s", "queued"))
		if a.follow("", "").code == 200 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the places of readers that have gone are not free again")
		}
	}
}

// TestSlowReadersAreDropped: a reader that does not read is told of the loss, and its stream ends.
func TestSlowReadersAreDropped(t *testing.T) {
	a := newAPI(t)
	r := a.follow("", "")
	r.next()
	long := strings.Repeat("x", 4<<10)
	lost := make(chan bool, 1)
	go func() {
		for i := range 100_000 { // more than all buffers between hold
			a.feed.Publish(task(fmt.Sprint(i), long, "queued"))
		}
		lost <- true
	}()
	<-lost
	last := map[string]string{}
	for block := r.next(); block != nil; block = r.next() {
		last = block
	}
	if last["event"] != "reset" {
		t.Errorf("the stream ends with %.100v", last)
	}
}
