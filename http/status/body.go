package status

import (
	"encoding/json"
	"math"
	"strings"

	"github.com/hooktroupe/hooktroupe/http/answer"
	"github.com/hooktroupe/hooktroupe/messages"
)

// taskBody is a task as the API shows it. Times are seconds since 1970, to the microsecond.
type taskBody struct {
	WebhookID   string          `json:"webhook_id"`
	Status      string          `json:"status"`
	CreatedAt   seconds         `json:"created_at"`
	UpdatedAt   seconds         `json:"updated_at"`
	DueAt       *seconds        `json:"due_at"`
	Attempts    uint32          `json:"attempts"`
	MaxAttempts uint32          `json:"max_attempts"`
	Source      string          `json:"source"`
	EventType   string          `json:"event_type"`
	DeliveryID  string          `json:"delivery_id"`
	Key         string          `json:"key"`
	Error       *string         `json:"error"`
	Result      json.RawMessage `json:"result"`
	AttemptLog  []attemptBody   `json:"attempt_log"`
	Route       string          `json:"route"`
	ParentID    *string         `json:"parent_id"`
	Parts       []partBody      `json:"parts"`
}

// partBody is one route's share of a delivery that several routes want.
type partBody struct {
	WebhookID string  `json:"webhook_id"`
	Route     string  `json:"route"`
	Key       string  `json:"key"`
	Status    string  `json:"status"`
	Attempts  uint32  `json:"attempts"`
	Error     *string `json:"error"`
}

// attemptBody is one line of a task's attempt log.
type attemptBody struct {
	Number    uint32   `json:"number"`
	StartedAt seconds  `json:"started_at"`
	EndedAt   *seconds `json:"ended_at"`
	Outcome   *string  `json:"outcome"`
	Error     *string  `json:"error"`
}

// listBody is one page of tasks.
type listBody struct {
	Webhooks []taskBody `json:"webhooks"`
	Count    int        `json:"count"`
	Next     *string    `json:"next"`
}

// readinessBody is a Readiness with its names.
type readinessBody struct {
	Ready   bool           `json:"ready"`
	Reason  string         `json:"reason"`
	Details map[string]any `json:"details,omitempty"`
}

// seconds is a time as seconds since 1970.
type seconds float64

// since1970 converts from nanoseconds.
func since1970(nanos int64) seconds { return seconds(math.Round(float64(nanos)/1e3) / 1e6) }

// when is nothing for a time that is not set.
func when(nanos int64) *seconds {
	if nanos == 0 {
		return nil
	}
	s := since1970(nanos)
	return &s
}

// optional is nothing for an empty text.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func newTaskBody(t *messages.Task) taskBody {
	body := taskBody{
		WebhookID:   t.GetWebhookId(),
		Status:      answer.StatusWord(t.GetStatus()),
		CreatedAt:   since1970(t.GetCreatedAt()),
		UpdatedAt:   since1970(t.GetUpdatedAt()),
		DueAt:       when(t.GetDueAt()),
		Attempts:    t.GetAttempts(),
		MaxAttempts: t.GetMaxAttempts(),
		Source:      t.GetSource(),
		EventType:   t.GetEventType(),
		DeliveryID:  t.GetDeliveryId(),
		Key:         t.GetKey(),
		Error:       optional(t.GetError()),
		Result:      result(t.GetResult()),
		AttemptLog:  make([]attemptBody, 0, len(t.GetAttemptLog())),
		Route:       t.GetRoute(),
		ParentID:    optional(t.GetParentId()),
		Parts:       make([]partBody, 0, len(t.GetParts())),
	}
	for _, p := range t.GetParts() {
		body.Parts = append(body.Parts, partBody{
			WebhookID: p.GetWebhookId(), Route: p.GetRoute(), Key: p.GetKey(), Status: answer.StatusWord(p.GetStatus()),
			Attempts: p.GetAttempts(), Error: optional(p.GetError()),
		})
	}
	for _, a := range t.GetAttemptLog() {
		body.AttemptLog = append(body.AttemptLog, attemptBody{
			Number:    a.GetNumber(),
			StartedAt: since1970(a.GetStartedAt()),
			EndedAt:   when(a.GetEndedAt()),
			Outcome:   outcome(a.GetOutcome()),
			Error:     optional(a.GetError()),
		})
	}
	return body
}

// result is shown as it is when it is JSON, as text when it is not, and as null when there is none.
func result(b []byte) json.RawMessage {
	switch {
	case len(b) == 0:
		return json.RawMessage("null")
	case json.Valid(b):
		return b
	}
	text, err := json.Marshal(string(b))
	if err != nil {
		return json.RawMessage("null") // a string always encodes
	}
	return text
}

// outcome is the word for how an attempt ended; nothing while it runs.
func outcome(o messages.Outcome) *string {
	if o == messages.Outcome_OUTCOME_UNSPECIFIED {
		return nil
	}
	word := strings.ToLower(strings.TrimPrefix(o.String(), "OUTCOME_"))
	return &word
}
