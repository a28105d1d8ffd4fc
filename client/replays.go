package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Filter selects tasks: all of what is given must match. Without a status, dead letters are meant.
type Filter struct {
	Statuses []string `json:"status,omitempty"`
	Source   string   `json:"source,omitempty"`
	Event    string   `json:"event,omitempty"`
	Key      string   `json:"key,omitempty"`
	Route    string   `json:"route,omitempty"`
	// Error must occur in the task's error.
	Error string `json:"error,omitempty"`
	// From and Until bound the time of acceptance, Until excluded.
	From  *time.Time `json:"from,omitempty"`
	Until *time.Time `json:"until,omitempty"`
}

// Replay is many tasks that run again.
type Replay struct {
	ID string `json:"id"`
	// State is running, completed or cancelled.
	State  string  `json:"state"`
	Filter Filter  `json:"filter"`
	Rate   float64 `json:"rate"`
	// Total is how many tasks were selected; Replayed of them run again, and Refused had changed meanwhile.
	Total     int        `json:"total"`
	Replayed  int        `json:"replayed"`
	Refused   int        `json:"refused"`
	StartedAt time.Time  `json:"started_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// replayRequest is what the API takes.
type replayRequest struct {
	Filter Filter  `json:"filter"`
	Rate   float64 `json:"rate,omitempty"`
	DryRun bool    `json:"dry_run,omitempty"`
}

// StartReplay makes the tasks that a filter selects run again, so many in a second; zero means as fast as they can be.
func (c *Client) StartReplay(ctx context.Context, f Filter, rate float64) (*Replay, error) {
	r := &Replay{}
	return r, c.replay(ctx, replayRequest{Filter: f, Rate: rate}, r)
}

// CountReplay says how many tasks a filter selects.
func (c *Client) CountReplay(ctx context.Context, f Filter) (int, error) {
	var answer struct {
		Matches int `json:"matches"`
	}
	err := c.replay(ctx, replayRequest{Filter: f, DryRun: true}, &answer)
	return answer.Matches, err
}

func (c *Client) replay(ctx context.Context, request replayRequest, into any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	return c.send(ctx, http.MethodPost, "/api/v1/replays", body, into)
}

// Replay returns one.
func (c *Client) Replay(ctx context.Context, id string) (*Replay, error) {
	r := &Replay{}
	return r, c.do(ctx, http.MethodGet, "/api/v1/replays/"+url.PathEscape(id), r)
}

// Replays returns those that are remembered, the newest first.
func (c *Client) Replays(ctx context.Context) ([]Replay, error) {
	var answer struct {
		Replays []Replay `json:"replays"`
	}
	err := c.do(ctx, http.MethodGet, "/api/v1/replays", &answer)
	return answer.Replays, err
}

// CancelReplay stops one; what runs again already is not touched.
func (c *Client) CancelReplay(ctx context.Context, id string) (*Replay, error) {
	r := &Replay{}
	return r, c.do(ctx, http.MethodPost, "/api/v1/replays/"+url.PathEscape(id)+"/cancel", r)
}
