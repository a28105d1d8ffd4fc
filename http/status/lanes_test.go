package status_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/messages"
)

// lanes is a daemon with one lane, o/r#1, that remembers what it was asked.
type lanes struct {
	err    error
	asked  *messages.GetLanes
	paused *messages.PauseLane
	moved  string
	// movable lets tasks be moved to the back.
	movable bool
}

func oneLane() []*messages.Lane {
	return []*messages.Lane{{
		Route: "reviews", Key: "o/r#1", Policy: "serial", Running: []*messages.Task{done}, Waiting: []*messages.Task{failed},
		WaitingTotal: 7, Why: "task 0190-b runs",
	}}
}

func (f *lanes) Lanes(_ context.Context, q *messages.GetLanes) (*messages.GetLanesReply, error) {
	f.asked = q
	if key := q.GetKey(); f.err != nil || key != "" && !strings.HasSuffix(key, "r#1") {
		return &messages.GetLanesReply{}, f.err
	}
	return &messages.GetLanesReply{Lanes: oneLane(), Total: 5}, nil
}

func (f *lanes) PauseLane(_ context.Context, c *messages.PauseLane) (*messages.LanesChanged, error) {
	f.paused = c
	if !strings.HasSuffix(c.GetKey(), "r#1") {
		return &messages.LanesChanged{}, f.err
	}
	return &messages.LanesChanged{Lanes: oneLane()}, f.err
}

func (f *lanes) Move(_ context.Context, id string, front bool) (*messages.Task, *messages.TaskRefused, error) {
	f.moved = id
	if !front && !f.movable {
		return nil, &messages.TaskRefused{Detail: "it runs"}, f.err
	}
	return failed, nil, f.err
}

func TestLanes(t *testing.T) {
	a := newAPI(t)
	body := string(a.call("GET", "/api/v1/lanes?route=reviews&limit=3", 200))
	if !strings.Contains(body, `"total":5`) || !proto.Equal(a.lanes.asked, &messages.GetLanes{Route: "reviews", Limit: 3}) {
		t.Fatalf("asked %v, got %s", a.lanes.asked, body)
	}
	body = string(a.call("GET", "/api/v1/lanes/r%231", 200))
	for _, want := range []string{
		`"why":"task 0190-b runs"`, `"position":1,"webhook_id":"0190-a"`, `"position":0,"webhook_id":"0190-b"`,
		`"created_at":"2023-11-14T22:13:20Z"`, `"due_at":"2023-11-14T22:13:29Z"`, `"due_at":null`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in %s", want, body)
		}
	}
	// The contract's router in this test knows no escaped slashes; the API does.
	if resp, _ := a.send("GET", "/api/v1/lanes/o%2Fr%231"); resp.StatusCode != 200 || a.lanes.asked.GetKey() != "o/r#1" {
		t.Errorf("a key with a slash: %d, asked %v", resp.StatusCode, a.lanes.asked)
	}
	a.call("GET", "/api/v1/lanes/other", 404)
	a.call("GET", "/api/v1/lanes?limit=1001", 400)
	a.lanes.err = errors.New("away")
	a.call("GET", "/api/v1/lanes", 503)
}

func TestSkip(t *testing.T) {
	a := newAPI(t)
	a.call("POST", "/api/v1/lanes/r%231/skip", 409) // what held the lane has begun meanwhile
	a.lanes.movable = true
	body := string(a.call("POST", "/api/v1/lanes/r%231/skip?route=reviews", 200))
	if a.lanes.moved != "0190-a" || !strings.Contains(body, `"waiting_total":7`) || a.lanes.asked.GetRoute() != "reviews" {
		t.Errorf("moved %q, asked %v, got %s", a.lanes.moved, a.lanes.asked, body)
	}
	a.call("POST", "/api/v1/lanes/none/skip", 404)
	a.call("POST", "/api/v1/lanes/r%231/skip?route="+strings.Repeat("r", 300), 400)
	a.lanes.err = errors.New("away")
	a.call("POST", "/api/v1/lanes/r%231/skip", 503)
}

func TestPauseAndMove(t *testing.T) {
	a := newAPI(t)
	for action, paused := range map[string]bool{"pause": true, "resume": false} {
		a.call("POST", "/api/v1/lanes/r%231/"+action+"?route=reviews", 200)
		if want := (&messages.PauseLane{Key: "r#1", Route: "reviews", Paused: paused}); !proto.Equal(a.lanes.paused, want) {
			t.Errorf("asked %v, want %v", a.lanes.paused, want)
		}
	}
	a.call("POST", "/api/v1/lanes/none/pause", 404)
	if resp, _ := a.send("GET", "/api/v1/lanes/r%231/pause"); resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST, OPTIONS" {
		t.Errorf("GET of a command: %d, %q", resp.StatusCode, resp.Header.Get("Allow"))
	}
	a.call("POST", "/api/v1/tasks/0190-a/move?to=front", 200)
	a.call("POST", "/api/v1/tasks/0190-a/move?to=back", 409)
	a.call("POST", "/api/v1/tasks/0190-a/move?to=up", 400)
	if a.lanes.moved != "0190-a" {
		t.Errorf("moved %q", a.lanes.moved)
	}
}
