package actors

import (
	"crypto/sha256"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// deliveryHash tells duplicates: the first half of the SHA-256 of source and delivery ID. A hash, for the ID itself is as
// long as its sender likes and lies with the body; that of a million tasks must fit into memory.
type deliveryHash [16]byte

func (h deliveryHash) isZero() bool { return h == deliveryHash{} }

// hashDelivery returns zero for a delivery without an ID, of which nobody can say whether it is a duplicate.
func hashDelivery(source, deliveryID string) deliveryHash {
	if deliveryID == "" {
		return deliveryHash{}
	}
	var buffer [512]byte
	text := append(append(append(buffer[:0], source...), 0), deliveryID...)
	sum := sha256.Sum256(text)
	return deliveryHash(sum[:16])
}

// acceptedRecord is a delivery as the journal keeps it.
func acceptedRecord(id task.ID, d *messages.Delivery, maxAttempts uint16) *journalv1.TaskAccepted {
	record := &journalv1.TaskAccepted{
		TaskId: id[:], Source: d.GetSource(), EventType: d.GetEventType(), DeliveryId: d.GetDeliveryId(), Key: d.GetKey(),
		At: d.GetReceivedAt(), MaxAttempts: uint32(maxAttempts), Body: d.GetBody(),
	}
	headers := make([]journalv1.Header, len(d.GetHeaders()))
	record.Headers = make([]*journalv1.Header, len(headers))
	for i, h := range d.GetHeaders() {
		headers[i].Name, headers[i].Value = h.GetName(), h.GetValue()
		record.Headers[i] = &headers[i]
	}
	return record
}

// message is the entry as the status queries show it, without delivery ID and key, which lie with the body.
func (e *entry) message() *messages.Task {
	m := &messages.Task{
		WebhookId: e.ID.String(), Source: e.origin.source, EventType: e.origin.eventType,
		Status: messages.Status(e.Status), CreatedAt: e.CreatedAt, UpdatedAt: e.UpdatedAt, DueAt: e.DueAt,
		Attempts: e.Attempts, MaxAttempts: uint32(e.MaxAttempts),
	}
	if e.detail != nil {
		m.Error, m.Result = e.detail.err, e.detail.result
		for _, a := range e.detail.log {
			m.AttemptLog = append(m.AttemptLog, &messages.Attempt{
				Number: a.number, StartedAt: a.startedAt, EndedAt: a.endedAt,
				Outcome: messages.Outcome(a.outcome), Error: a.err,
			})
		}
	}
	if e.Status == task.Processing {
		m.AttemptLog = append(m.AttemptLog, &messages.Attempt{Number: e.Attempts, StartedAt: e.UpdatedAt})
	}
	return m
}
