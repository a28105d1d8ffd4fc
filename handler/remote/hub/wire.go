package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/handler/remote/link"
	"github.com/hooktroupe/hooktroupe/internal/tracing"
	pb "github.com/hooktroupe/hooktroupe/messages/handlerv1"
)

// encode makes the message of a task. The body is shared, for neither changes.
func encode(ctx context.Context, t *handler.Task) *pb.Task {
	m := &pb.Task{
		WebhookId: t.ID, Attempt: uint32(t.Attempt), Source: t.Source, EventType: []byte(t.EventType),
		DeliveryId: []byte(t.DeliveryID), Route: t.Route, Key: []byte(t.Key), Body: t.Body,
		Headers: make([]*pb.Header, 0, len(t.Headers)),
	}
	m.Traceparent, m.Tracestate = tracing.Headers(ctx)
	if !t.ReceivedAt.IsZero() {
		m.ReceivedAt = t.ReceivedAt.UnixNano()
	}
	for _, h := range t.Headers {
		m.Headers = append(m.Headers, &pb.Header{Name: h.Name, Value: []byte(h.Value)})
	}
	return m
}

// outcome is what Handle returns.
type outcome struct {
	result []byte
	err    error
}

// decode makes an outcome of what a member reported. The member is not relied on to have kept the bounds.
func decode(m *pb.AttemptResult) outcome {
	failure := errors.New(string(cut(m.GetError(), handler.MaxErrorBytes)))
	switch m.GetOutcome() {
	case pb.Outcome_OUTCOME_COMPLETED:
		return outcome{result: cut(m.GetResult(), handler.MaxResultBytes)}
	case pb.Outcome_OUTCOME_DISCARD:
		return outcome{err: handler.Discard(failure)}
	case pb.Outcome_OUTCOME_PANIC:
		return outcome{err: &handler.CrashError{Value: failure.Error(), Stack: cut(m.GetStack(), link.MaxStackBytes)}}
	case pb.Outcome_OUTCOME_LOST:
		return outcome{err: fmt.Errorf("%w: %w", handler.ErrLost, failure)}
	case pb.Outcome_OUTCOME_RETRY:
		if after := m.GetRetryAfter().AsDuration(); m.GetRetryAfter().IsValid() && after > 0 {
			return outcome{err: handler.RetryAfter(failure, min(after, maxRetryAfter))}
		}
		return outcome{err: failure}
	default:
		return outcome{err: fmt.Errorf("the member reported no outcome that is known: %d", m.GetOutcome())}
	}
}

// maxRetryAfter bounds what a member may ask for.
const maxRetryAfter = 30 * 24 * time.Hour

func cut(b []byte, most int) []byte { return b[:min(len(b), most)] }
