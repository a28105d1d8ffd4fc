package client

import (
	"context"
	"net/http"
	"time"
)

// Source is a configured source, and how near its sender is to giving up. Counts are since the daemon's start.
type Source struct {
	Name  string   `json:"name"`
	Type  string   `json:"type"`
	Paths []string `json:"paths"`
	// State is healthy, warning or suspended_likely.
	State string `json:"state"`
	// LastAcceptedAt is when a verified delivery was last answered with 2xx; nil for never.
	LastAcceptedAt *time.Time `json:"last_accepted_at"`
	// ConsecutiveFailures is how many failed or late answers there were since then.
	ConsecutiveFailures int `json:"consecutive_failures"`
	// Limit is the failures in a row at which the sender gives up; nil when none is known.
	Limit *int `json:"limit"`
	// AckWithin is how long the sender waits for an answer, in seconds; nil when not known.
	AckWithin *float64 `json:"ack_within_seconds"`
	// SlowAcks is how many answers came later than that.
	SlowAcks uint64 `json:"slow_acks"`
	// Refused is how many requests proved nothing.
	Refused uint64 `json:"refused"`
	// Then says what the sender does at the limit, or why there is none.
	Then string `json:"then"`
}

// Sources returns the configured sources, by name.
func (c *Client) Sources(ctx context.Context) ([]Source, error) {
	var answer struct {
		Sources []Source `json:"sources"`
	}
	err := c.do(ctx, http.MethodGet, "/api/v1/sources", &answer)
	return answer.Sources, err
}
