package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Lane is the tasks of one ordering key of one route: the answer to why one of them waits.
type Lane struct {
	Route  string `json:"route"`
	Key    string `json:"key"`
	Policy string `json:"policy"`
	Paused bool   `json:"paused"`
	// Why says why the first task does not run; nil when it waits for nothing.
	Why          *string    `json:"why"`
	WaitingTotal int        `json:"waiting_total"`
	Running      []LaneTask `json:"running"`
	Waiting      []LaneTask `json:"waiting"`
}

// LaneTask is a task as its lane shows it.
type LaneTask struct {
	// Position counts from 1 for those that wait; it is 0 for those that run.
	Position  int        `json:"position"`
	WebhookID string     `json:"webhook_id"`
	Status    string     `json:"status"`
	Source    string     `json:"source"`
	EventType string     `json:"event_type"`
	CreatedAt time.Time  `json:"created_at"`
	DueAt     *time.Time `json:"due_at"`
	Attempts  int        `json:"attempts"`
	Error     *string    `json:"error"`
}

// Lanes is an answer about lanes; Total is how many there are.
type Lanes struct {
	Lanes []Lane `json:"lanes"`
	Total int    `json:"total"`
}

// Lanes returns the longest lanes, of one route or of all, without their tasks.
func (c *Client) Lanes(ctx context.Context, route string, limit int) (*Lanes, error) {
	values := url.Values{"limit": {strconv.Itoa(limit)}}
	if route != "" {
		values.Set("route", route)
	}
	lanes := &Lanes{}
	return lanes, c.do(ctx, http.MethodGet, "/api/v1/lanes?"+values.Encode(), lanes)
}

// LanesOf returns the lanes of an ordering key, on one route or on all.
func (c *Client) LanesOf(ctx context.Context, key, route string) (*Lanes, error) {
	lanes := &Lanes{}
	return lanes, c.do(ctx, http.MethodGet, lanePath(key, "", route), lanes)
}

// PauseLane keeps the lanes of an ordering key from starting tasks, or lets them go on.
func (c *Client) PauseLane(ctx context.Context, key, route string, paused bool) (*Lanes, error) {
	action := map[bool]string{true: "/pause", false: "/resume"}[paused]
	lanes := &Lanes{}
	return lanes, c.do(ctx, http.MethodPost, lanePath(key, action, route), lanes)
}

// SkipLane puts the first waiting task of the lanes of an ordering key behind the others.
func (c *Client) SkipLane(ctx context.Context, key, route string) (*Lanes, error) {
	lanes := &Lanes{}
	return lanes, c.do(ctx, http.MethodPost, lanePath(key, "/skip", route), lanes)
}

func lanePath(key, action, route string) string {
	path := "/api/v1/lanes/" + url.PathEscape(key) + action
	if route != "" {
		path += "?" + url.Values{"route": {route}}.Encode()
	}
	return path
}
