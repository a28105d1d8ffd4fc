package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Selection says which tasks are wanted; its zero value selects all.
type Selection struct {
	Statuses                  []string
	Source, Event, Key, Route string
}

func (s Selection) values() url.Values {
	values := url.Values{}
	for _, status := range s.Statuses {
		values.Add("status", status)
	}
	for name, value := range map[string]string{"source": s.Source, "event": s.Event, "key": s.Key, "route": s.Route} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

// TaskQuery selects one page of tasks; its zero value selects the newest.
type TaskQuery struct {
	Selection
	// DeadLetters stands for the status failed, and goes with no other.
	DeadLetters bool
	// Handler works them.
	Handler string
	// Error must occur in the task's error, Text in its ID, source, event type, key, route or error, whatever its case.
	Error, Text string
	// From and Until bound the time of acceptance, Until excluded; zero means no bound.
	From, Until time.Time
	// MinAge is how long ago a task was accepted, at least, and MaxAge at most; zero means no bound.
	MinAge, MaxAge time.Duration
	// After is the Next of the page before; empty for the first.
	After string
	// Limit is how many tasks are wanted, up to 1000; zero for the daemon's default.
	Limit int
}

func (q TaskQuery) values() url.Values {
	values := q.Selection.values()
	set := func(name, value string, given bool) {
		if given {
			values.Set(name, value)
		}
	}
	set("dead_letters", "true", q.DeadLetters)
	set("handler", q.Handler, q.Handler != "")
	set("error", q.Error, q.Error != "")
	set("text", q.Text, q.Text != "")
	set("from", q.From.UTC().Format(time.RFC3339Nano), !q.From.IsZero())
	set("until", q.Until.UTC().Format(time.RFC3339Nano), !q.Until.IsZero())
	set("min_age", q.MinAge.String(), q.MinAge > 0)
	set("max_age", q.MaxAge.String(), q.MaxAge > 0)
	set("after", q.After, q.After != "")
	set("limit", strconv.Itoa(q.Limit), q.Limit > 0)
	return values
}

// TaskRow is a task as a page shows it.
type TaskRow struct {
	ID          string     `json:"id"`
	Status      string     `json:"status"`
	Source      string     `json:"source"`
	Event       string     `json:"event"`
	Route       string     `json:"route"`
	Key         string     `json:"key"`
	CreatedAt   time.Time  `json:"created_at"`
	UpdatedAt   time.Time  `json:"updated_at"`
	DueAt       *time.Time `json:"due_at"`
	Attempts    int        `json:"attempts"`
	MaxAttempts int        `json:"max_attempts"`
	Error       *string    `json:"error"`
}

// TaskPage is one page of tasks, newest first. Next is the cursor of the page after it; nil after the last.
type TaskPage struct {
	Tasks []TaskRow `json:"tasks"`
	Next  *string   `json:"next"`
}

// TaskDetail is a task with its delivery, which is nil without the scope operate.
type TaskDetail struct {
	TaskRow
	Result     json.RawMessage `json:"result"`
	DeliveryID string          `json:"delivery_id"`
	Delivery   *Delivery       `json:"delivery"`
}

// Delivery is what the sender sent.
type Delivery struct {
	ReceivedAt time.Time `json:"received_at"`
	Headers    []Header  `json:"headers"`
	// Text is the body when it is UTF-8, Base64 when it is not.
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
}

// Header is one field of a delivery's header block.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Body is the body, byte for byte.
func (d *Delivery) Body() []byte {
	if d.Text != nil {
		return []byte(*d.Text)
	}
	return d.Base64
}

// Tasks returns one page of tasks.
func (c *Client) Tasks(ctx context.Context, q TaskQuery) (*TaskPage, error) {
	page := &TaskPage{}
	return page, c.do(ctx, http.MethodGet, "/api/v1/tasks?"+q.values().Encode(), page)
}

// Task returns one task with its delivery.
func (c *Client) Task(ctx context.Context, id string) (*TaskDetail, error) {
	t := &TaskDetail{}
	return t, c.do(ctx, http.MethodGet, "/api/v1/tasks/"+url.PathEscape(id), t)
}
