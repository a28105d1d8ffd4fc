package status

import (
	"time"

	"github.com/valyala/fasthttp"

	"github.com/hooktroupe/hooktroupe/http/ingress/health"
)

// Sources is what the daemon knows of its senders.
type Sources interface {
	// Reports says how every source stands, by name. It must not block.
	Reports() []health.Report
}

// sourceBody is a source as the API shows it. What is not known of its sender is null.
type sourceBody struct {
	Name                string   `json:"name"`
	Type                string   `json:"type"`
	Paths               []string `json:"paths"`
	State               string   `json:"state"`
	LastAcceptedAt      *string  `json:"last_accepted_at"`
	ConsecutiveFailures int      `json:"consecutive_failures"`
	Limit               *int     `json:"limit"`
	AckWithin           *float64 `json:"ack_within_seconds"`
	SlowAcks            uint64   `json:"slow_acks"`
	Refused             uint64   `json:"refused"`
	Then                string   `json:"then"`
}

// sourcesBody is all of them.
type sourcesBody struct {
	Sources []sourceBody `json:"sources"`
}

func newSourcesBody(reports []health.Report) sourcesBody {
	body := sourcesBody{Sources: make([]sourceBody, 0, len(reports))}
	for _, r := range reports {
		s := sourceBody{
			Name: r.Name, Type: r.Type, Paths: append([]string{}, r.Paths...), State: string(r.State),
			ConsecutiveFailures: r.ConsecutiveFailures, SlowAcks: r.SlowAcks, Refused: r.Refused, Then: r.Patience.Then,
		}
		if !r.LastAcceptedAt.IsZero() {
			s.LastAcceptedAt = optional(r.LastAcceptedAt.UTC().Format(time.RFC3339Nano))
		}
		if limit := r.Patience.Failures; limit > 0 {
			s.Limit = &limit
		}
		if wait := r.Patience.AckWithin.Seconds(); wait > 0 {
			s.AckWithin = &wait
		}
		body.Sources = append(body.Sources, s)
	}
	return body
}

// sources answers how near each sender is to giving up.
func (h *Handler) sources(ctx *fasthttp.RequestCtx) {
	answerTagged(ctx, newSourcesBody(h.deps.Sources.Reports()))
}
