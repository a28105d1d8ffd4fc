// Package client speaks the status API of a daemon, as http/status/openapi.yaml describes it. The command line uses it,
// and so may any other Go program.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Task is one task. Times are in seconds since 1970.
type Task struct {
	WebhookID   string          `json:"webhook_id"`
	Status      string          `json:"status"`
	Source      string          `json:"source"`
	EventType   string          `json:"event_type"`
	DeliveryID  string          `json:"delivery_id,omitempty"`
	Key         string          `json:"key,omitempty"`
	CreatedAt   float64         `json:"created_at"`
	UpdatedAt   float64         `json:"updated_at"`
	DueAt       *float64        `json:"due_at,omitempty"`
	Attempts    int             `json:"attempts"`
	MaxAttempts int             `json:"max_attempts"`
	Error       *string         `json:"error"`
	Result      json.RawMessage `json:"result,omitempty"`
	AttemptLog  []Attempt       `json:"attempt_log,omitempty"`
	Route       string          `json:"route,omitempty"`
	ParentID    *string         `json:"parent_id,omitempty"`
	Parts       []Part          `json:"parts,omitempty"`
}

// Part is one route's share of a delivery that several routes want. It is a task with an ID of its own.
type Part struct {
	WebhookID string  `json:"webhook_id"`
	Route     string  `json:"route"`
	Key       string  `json:"key"`
	Status    string  `json:"status"`
	Attempts  int     `json:"attempts"`
	Error     *string `json:"error"`
}

// Final says whether nothing more happens to the task by itself.
func (t *Task) Final() bool {
	switch t.Status {
	case "completed", "failed", "cancelled", "superseded":
		return true
	default:
		return false
	}
}

// Attempt is one line of a task's attempt log.
type Attempt struct {
	Number    int      `json:"number"`
	StartedAt float64  `json:"started_at"`
	EndedAt   *float64 `json:"ended_at"`
	Outcome   *string  `json:"outcome"`
	Error     *string  `json:"error"`
}

// Page is a part of a list of tasks, newest first. Next is the cursor of the page after it; nil after the last.
type Page struct {
	Tasks []Task  `json:"webhooks"`
	Count int     `json:"count"`
	Next  *string `json:"next"`
}

// Query selects tasks; its zero value selects all.
type Query struct {
	Statuses                  []string
	Source, Event, Key, Route string
	// Error must occur in the task's error.
	Error string
	After string
	Limit int
}

// Problem is an answer that is a refusal (RFC 9457).
type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// Error is the title and the detail.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return fmt.Sprintf("%s (%d)", p.Title, p.Status)
	}
	return fmt.Sprintf("%s: %s (%d)", p.Title, p.Detail, p.Status)
}

// ErrUnreachable means that no answer came.
var ErrUnreachable = errors.New("the daemon cannot be reached")

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 20

// Client asks one daemon. It is safe for use by several goroutines.
type Client struct {
	base  string
	token string
	http  *http.Client
	// streams is without a bound on the whole of an answer.
	streams *http.Client
}

// Option changes a client that is made.
type Option func(*Client)

// WithTLS sets whom the client trusts, and the certificate that it shows.
func WithTLS(c *tls.Config) Option {
	return func(made *Client) {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.TLSClientConfig = c
		made.http.Transport, made.streams.Transport = transport, transport
	}
}

// New returns a client for the daemon at a base URL. The token may be empty.
func New(base, token string, options ...Option) *Client {
	c := &Client{
		base: strings.TrimSuffix(base, "/"), token: token,
		http: &http.Client{Timeout: 30 * time.Second}, streams: &http.Client{},
	}
	for _, option := range options {
		option(c)
	}
	return c
}

// Get returns one task.
func (c *Client) Get(ctx context.Context, id string) (*Task, error) {
	t := &Task{}
	return t, c.do(ctx, http.MethodGet, "/api/v1/webhook_status/"+url.PathEscape(id), t)
}

// List returns one page of tasks.
func (c *Client) List(ctx context.Context, q Query) (*Page, error) {
	values := url.Values{}
	for _, status := range q.Statuses {
		values.Add("status", status)
	}
	for name, value := range map[string]string{
		"source": q.Source, "event": q.Event, "key": q.Key, "route": q.Route, "error": q.Error, "after": q.After,
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	page := &Page{}
	return page, c.do(ctx, http.MethodGet, "/api/v1/webhook_statuses?"+values.Encode(), page)
}

// Cancel ends a task that is not final; the reason is kept with it.
func (c *Client) Cancel(ctx context.Context, id, reason string) (*Task, error) {
	path := "/api/v1/tasks/" + url.PathEscape(id) + "/cancel"
	if reason != "" {
		path += "?" + url.Values{"reason": {reason}}.Encode()
	}
	t := &Task{}
	return t, c.do(ctx, http.MethodPost, path, t)
}

// Move puts a waiting task in front of its lane, due at once, or behind it, which lets those run that it held.
func (c *Client) Move(ctx context.Context, id string, front bool) (*Task, error) {
	to := map[bool]string{true: "front", false: "back"}[front]
	t := &Task{}
	return t, c.do(ctx, http.MethodPost, "/api/v1/tasks/"+url.PathEscape(id)+"/move?to="+to, t)
}

// Retry runs a final task again, or a retrying one at once.
func (c *Client) Retry(ctx context.Context, id string) (*Task, error) {
	t := &Task{}
	return t, c.do(ctx, http.MethodPost, "/api/v1/tasks/"+url.PathEscape(id)+"/retry", t)
}

// Deliver posts a signed delivery to a path such as /webhooks/github and returns what the daemon answered, refusals
// included. An error means that there was no answer.
func (c *Client) Deliver(ctx context.Context, path string, header http.Header, body []byte) (Receipt, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(body))
	if err != nil {
		return Receipt{}, err
	}
	request.Header = header
	code, content, err := c.exchange(request)
	return Receipt{Code: code, Body: content}, err
}

// Receipt is the answer to a delivery.
type Receipt struct {
	Code int
	Body []byte
}

// TaskID is the task that the delivery became; empty if it became none.
func (r Receipt) TaskID() string {
	var answer struct {
		ID string `json:"webhook_id"`
	}
	if json.Unmarshal(r.Body, &answer) != nil {
		return ""
	}
	return answer.ID
}

func (c *Client) do(ctx context.Context, method, path string, into any) error {
	return c.send(ctx, method, path, nil, into)
}

// send asks with a body, which may be empty.
func (c *Client) send(ctx context.Context, method, path string, body []byte, into any) error {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	code, content, err := c.exchange(request)
	if err != nil {
		return err
	}
	if code >= 300 {
		return problemOf(code, content)
	}
	if err := json.Unmarshal(content, into); err != nil {
		return fmt.Errorf("the answer of %s is not what the API promises: %w", path, err)
	}
	return nil
}

// problemOf reads a refusal.
func problemOf(code int, content []byte) *Problem {
	p := &Problem{}
	if json.Unmarshal(content, p) != nil || p.Title == "" {
		p.Title = http.StatusText(code)
	}
	p.Status = code
	return p
}

func (c *Client) exchange(request *http.Request) (int, []byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer func() { _ = response.Body.Close() }()
	content, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	return response.StatusCode, content, nil
}
