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
	if assignments := d.GetAssignments(); len(assignments) == 1 {
		record.Route, record.Key = assignments[0].GetRoute(), assignments[0].GetKey()
	}
	headers := make([]journalv1.Header, len(d.GetHeaders()))
	record.Headers = make([]*journalv1.Header, len(headers))
	for i, h := range d.GetHeaders() {
		headers[i].Name, headers[i].Value = h.GetName(), h.GetValue()
		record.Headers[i] = &headers[i]
	}
	return record
}

// delivered is the inverse of acceptedRecord: the delivery as it was received.
func delivered(record *journalv1.TaskAccepted) *messages.Delivery {
	d := &messages.Delivery{
		Source: record.GetSource(), EventType: record.GetEventType(), DeliveryId: record.GetDeliveryId(),
		Key: record.GetKey(), ReceivedAt: record.GetAt(), MaxAttempts: record.GetMaxAttempts(), Body: record.GetBody(),
	}
	for _, h := range record.GetHeaders() {
		d.Headers = append(d.Headers, &messages.Header{Name: h.GetName(), Value: h.GetValue()})
	}
	return d
}

// message is the task as the status queries show it, without delivery ID, which lies with the body.
func (r record) message() *messages.Task {
	m := &messages.Task{
		WebhookId: r.ID.String(), Source: r.origin.source, EventType: r.origin.eventType,
		Route: r.place.route, Key: r.place.key,
		Status: messages.Status(r.Status), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DueAt: r.DueAt,
		Attempts: r.Attempts, MaxAttempts: uint32(r.MaxAttempts), Error: r.err, Result: r.result,
	}
	for _, a := range r.log {
		m.AttemptLog = append(m.AttemptLog, &messages.Attempt{
			Number: a.number, StartedAt: a.startedAt, EndedAt: a.endedAt,
			Outcome: messages.Outcome(a.outcome), Error: a.err,
		})
	}
	if r.Status == task.Processing && r.role != split {
		m.AttemptLog = append(m.AttemptLog, &messages.Attempt{Number: r.Attempts, StartedAt: r.UpdatedAt})
	}
	return m
}

// message is a task with what it is a part of, and its parts.
func (t *table) message(s slot) *messages.Task {
	m := t.record(s).message()
	if e := t.get(s); e.role == part {
		m.ParentId = t.get(e.parent).ID.String()
	}
	for _, p := range t.parts[s] {
		shown := t.record(p).message()
		shown.AttemptLog = nil
		m.Parts = append(m.Parts, shown)
	}
	return m
}
