// Package handlertest is for the tests of handlers and of what calls them: tasks to work on, a sink that records what
// it receives and answers by script, and the conformance suite that every handler passes.
package handlertest

import (
	"bytes"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
)

// NewTask returns the first attempt at a small GitHub push, the same each time, after the changes were applied to it.
func NewTask(changes ...func(*handler.Task)) *handler.Task {
	t := &handler.Task{
		ID:         "0198f2a4-7c1e-7d3b-9a55-2f6f0c1d8e01",
		Attempt:    1,
		Source:     "github",
		EventType:  "push",
		DeliveryID: "72d3162e-cc78-11e3-81ab-4c9367dc0958",
		Key:        "octo/hello",
		ReceivedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC),
		Headers: []handler.Header{
			{Name: "Content-Type", Value: "application/json"},
			{Name: "X-Github-Event", Value: "push"},
			{Name: "X-Github-Delivery", Value: "72d3162e-cc78-11e3-81ab-4c9367dc0958"},
		},
		Body: []byte(`{"ref":"refs/heads/main","repository":{"full_name":"octo/hello"}}`),
	}
	for _, change := range changes {
		change(t)
	}
	return t
}

// WithBody replaces the body.
func WithBody(body []byte) func(*handler.Task) {
	return func(t *handler.Task) { t.Body = body }
}

// WithHeader adds a header at the end of the block.
func WithHeader(name, value string) func(*handler.Task) {
	return func(t *handler.Task) { t.Headers = append(t.Headers, handler.Header{Name: name, Value: value}) }
}

// WithAttempt sets the number of the attempt.
func WithAttempt(n int) func(*handler.Task) {
	return func(t *handler.Task) { t.Attempt = n }
}

// Clone returns a copy that shares nothing with t.
func Clone(t *handler.Task) *handler.Task {
	c := *t
	c.Headers = slices.Clone(t.Headers)
	c.Body = bytes.Clone(t.Body)
	return &c
}
