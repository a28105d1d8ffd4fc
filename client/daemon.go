package client

import (
	"context"
	"net/http"
	"time"
)

// Route is a configured route, and how it stands.
type Route struct {
	Name     string   `json:"name"`
	Source   string   `json:"source"`
	Events   []string `json:"events"`
	Filter   string   `json:"filter"`
	Key      string   `json:"key"`
	Policy   string   `json:"policy"`
	Continue bool     `json:"continue"`
	Handlers []string `json:"handlers"`
	Waiting  int      `json:"waiting"`
	Running  int      `json:"running"`
	// Blocked says which limit starts no more tasks now, and why; nil where none does.
	Blocked *string `json:"blocked"`
}

// Handler is a configured handler, and how it stands.
type Handler struct {
	Name string `json:"name"`
	Type string `json:"type"`
	// Target is where it leads: a URL, a program or a kind; empty for none.
	Target string `json:"target"`
	// Concurrency bounds the attempts at one time, Rate those that start in a second; zero for no bound of its own.
	Concurrency int     `json:"concurrency"`
	Rate        float64 `json:"rate"`
	// Breaker is closed, half-open or open; nil where it has none.
	Breaker *string  `json:"breaker"`
	Routes  []string `json:"routes"`
	Waiting int      `json:"waiting"`
	Running int      `json:"running"`
	// Blocked says why it starts no more attempts now; nil where it does.
	Blocked *string `json:"blocked"`
	// Members are the processes that work it, where it is remote.
	Members []Member `json:"members"`
}

// Member is a process that works attempts of a remote handler.
type Member struct {
	Address  string    `json:"address"`
	Identity string    `json:"identity"`
	Credits  int       `json:"credits"`
	Running  int       `json:"running"`
	Draining bool      `json:"draining"`
	Since    time.Time `json:"since"`
	Heard    time.Time `json:"heard"`
}

// Overview is how the daemon is: how many tasks stand where, what is in use of what is bounded, and samples of the last hour,
// oldest first.
type Overview struct {
	Now     Counts   `json:"now"`
	Budgets []Budget `json:"budgets"`
	Samples []Sample `json:"samples"`
	Sources []Source `json:"sources"`
}

// Counts says how many tasks stand where; OldestAge is that of the oldest that is not final, in seconds.
type Counts struct {
	Queued     int     `json:"queued"`
	Processing int     `json:"processing"`
	Retrying   int     `json:"retrying"`
	Completed  int     `json:"completed"`
	Failed     int     `json:"failed"`
	Cancelled  int     `json:"cancelled"`
	Superseded int     `json:"superseded"`
	OldestAge  float64 `json:"oldest_age"`
}

// Budget is something of which there is a bounded amount; without a bound Limit is zero.
type Budget struct {
	Name  string  `json:"name"`
	Unit  string  `json:"unit"`
	Used  float64 `json:"used"`
	Limit float64 `json:"limit"`
}

// Sample is one moment of the history. Rates are per second, times in seconds and nil where nothing was observed.
type Sample struct {
	At         time.Time `json:"at"`
	Accepted   float64   `json:"accepted"`
	Refused    float64   `json:"refused"`
	Finished   float64   `json:"finished"`
	Failed     float64   `json:"failed"`
	AckP50     *float64  `json:"ack_p50"`
	AckP99     *float64  `json:"ack_p99"`
	AttemptP50 *float64  `json:"attempt_p50"`
	AttemptP99 *float64  `json:"attempt_p99"`
}

// Routes returns the configured routes, in their order.
func (c *Client) Routes(ctx context.Context) ([]Route, error) {
	var answer struct {
		Routes []Route `json:"routes"`
	}
	err := c.do(ctx, http.MethodGet, "/api/v1/routes", &answer)
	return answer.Routes, err
}

// Handlers returns the configured handlers, by name.
func (c *Client) Handlers(ctx context.Context) ([]Handler, error) {
	var answer struct {
		Handlers []Handler `json:"handlers"`
	}
	err := c.do(ctx, http.MethodGet, "/api/v1/handlers", &answer)
	return answer.Handlers, err
}

// Overview returns how the daemon is.
func (c *Client) Overview(ctx context.Context) (*Overview, error) {
	o := &Overview{}
	return o, c.do(ctx, http.MethodGet, "/api/v1/overview", o)
}
