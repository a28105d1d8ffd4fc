// Package logger is the handler of a first run and of routes that are only watched: it writes one entry for each task
// and completes it. An entry holds identifiers and sizes, never a byte of the body and never a header.
package logger

import (
	"context"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// Message is the text of every entry, for those who filter by it.
const Message = "delivery logged"

// Handler writes entries at level info. It is safe for use by several goroutines.
type Handler struct {
	log logrus.FieldLogger
}

// New returns a Handler that writes to log, which must not be nil.
func New(log logrus.FieldLogger) *Handler { return &Handler{log: log} }

// Handle writes the entry and completes the task without a result. A context that has already ended writes nothing and
// returns its cause.
func (h *Handler) Handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	fields := logrus.Fields{
		logfield.TaskID:      t.ID,
		logfield.TaskAttempt: t.Attempt,
		logfield.Source:      t.Source,
		logfield.Event:       t.EventType,
		logfield.Bytes:       len(t.Body),
	}
	if t.DeliveryID != "" {
		fields[logfield.DeliveryID] = t.DeliveryID
	}
	if t.Key != "" {
		fields[logfield.Key] = t.Key
	}
	h.log.WithFields(fields).Info(Message)
	return nil, nil
}
