package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Event is something that changed. Exactly one of Task, Lane and Replay is set, or none: then changes were missed, and what
// is known of tasks has to be asked for anew.
type Event struct {
	ID     string
	Task   *TaskEvent
	Lane   *LaneEvent
	Replay *ReplayEvent
}

// TaskEvent tells how a task stands.
type TaskEvent struct {
	ID       string    `json:"id"`
	Parent   *string   `json:"parent"`
	Status   string    `json:"status"`
	Source   string    `json:"source"`
	Event    string    `json:"event"`
	Route    string    `json:"route"`
	Key      string    `json:"key"`
	Attempts int       `json:"attempts"`
	At       time.Time `json:"at"`
}

// LaneEvent tells that a lane was paused, or goes on.
type LaneEvent struct {
	Route  string    `json:"route"`
	Key    string    `json:"key"`
	Paused bool      `json:"paused"`
	At     time.Time `json:"at"`
}

// ReplayEvent tells that a replay has started or ended.
type ReplayEvent struct {
	ID       string    `json:"id"`
	State    string    `json:"state"`
	Total    int       `json:"total"`
	Replayed int       `json:"replayed"`
	Refused  int       `json:"refused"`
	At       time.Time `json:"at"`
}

const (
	// silence is how long a stream may say nothing at all before it is taken for dead: three signs of life.
	silence = 45 * time.Second
	// reconnectAfter is the wait before a stream that broke is opened again.
	reconnectAfter = 2 * time.Second
	// maxEventLine bounds one line of a stream, in bytes.
	maxEventLine = 1 << 20
)

// Follow calls fn for what changes from now on, in order, until ctx is done, which is no error, or fn returns one. A stream
// that breaks is opened again and goes on where it was; the daemon's restart is told as an Event without anything. An
// error is that of fn, that the first stream could not be opened, or that a later one was refused.
func (c *Client) Follow(ctx context.Context, s Selection, fn func(Event) error) error {
	f := &follower{client: c, target: "/api/v1/stream?" + s.values().Encode(), fn: fn}
	for {
		err := f.once(ctx)
		var refused *Problem
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // that is how it is meant to end
		case f.failed != nil:
			return f.failed
		case errors.As(err, &refused) && refused.Status < 500, err != nil && !f.opened:
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(reconnectAfter):
		}
	}
}

// follower is one call of Follow.
type follower struct {
	client *Client
	target string
	fn     func(Event) error
	lastID string
	opened bool  // at least once
	failed error // of fn
}

// once reads one stream to its end.
func (f *follower) once(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.client.base+f.target, nil)
	if err != nil {
		return err
	}
	if f.client.token != "" {
		request.Header.Set("Authorization", "Bearer "+f.client.token)
	}
	if f.lastID != "" {
		request.Header.Set("Last-Event-ID", f.lastID)
	}
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	response, err := f.client.streams.Do(request)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		content, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		return problemOf(response.StatusCode, content)
	}
	f.opened = true
	return f.read(response.Body, func() { dead.Reset(silence) })
}

// read takes in the lines of a stream, and calls alive for each. An event that makes no sense is passed over: a newer
// daemon may tell more.
func (f *follower) read(stream io.Reader, alive func()) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEventLine)
	var name, data string
	for lines.Scan() {
		alive()
		field, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case lines.Text() == "":
			e, ok := parseEvent(name, data)
			e.ID, name, data = f.lastID, "", ""
			if !ok {
				continue
			}
			if f.failed = f.fn(e); f.failed != nil {
				return f.failed
			}
		case field == "id":
			f.lastID = value
		case field == "event":
			name = value
		case field == "data":
			data += value
		}
	}
	return lines.Err()
}

// parseEvent reads one event; ok is false for what is none that is known.
func parseEvent(name, data string) (e Event, ok bool) {
	var into any
	switch name {
	case "task":
		e.Task = &TaskEvent{}
		into = e.Task
	case "lane":
		e.Lane = &LaneEvent{}
		into = e.Lane
	case "replay":
		e.Replay = &ReplayEvent{}
		into = e.Replay
	case "reset":
		return Event{}, true
	default:
		return Event{}, false
	}
	return e, json.Unmarshal([]byte(data), into) == nil
}
