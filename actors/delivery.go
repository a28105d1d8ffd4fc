package actors

import (
	"bytes"
	"crypto/sha256"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/internal/pack"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// deliveryHash tells duplicates: the first half of the SHA-256 of source and delivery ID. A hash, for the ID itself is as
// long as its sender likes and lies with the body; that of a million tasks must fit into memory.
type deliveryHash [16]byte

func (h deliveryHash) isZero() bool { return h == deliveryHash{} }

// hashDelivery returns zero for a delivery without an ID, of which nobody can say whether it is a duplicate.
func hashDelivery[T string | []byte](source string, deliveryID T) deliveryHash {
	if len(deliveryID) == 0 {
		return deliveryHash{}
	}
	var buffer [512]byte
	text := append(append(append(buffer[:0], source...), 0), deliveryID...)
	sum := sha256.Sum256(text)
	return deliveryHash(sum[:16])
}

// newAccept prepares a delivery for the registry: hashing and packing take time, and the caller has more than it has.
func newAccept(d *messages.Delivery) *accept {
	record := acceptedRecord(d)
	return &accept{
		AcceptDelivery: &messages.AcceptDelivery{Delivery: d},
		record:         record, size: proto.Size(record), hash: hashDelivery(d.GetSource(), d.GetDeliveryId()),
	}
}

// acceptedRecord is a delivery as the journal keeps it, before it becomes a task.
func acceptedRecord(d *messages.Delivery) *journalv1.TaskAccepted {
	record := &journalv1.TaskAccepted{
		Source: d.GetSource(), EventType: d.GetEventType(), DeliveryId: d.GetDeliveryId(), Key: d.GetKey(),
		At: d.GetReceivedAt(), PackedBody: pack.Pack(d.GetBody()),
		Traceparent: d.GetTraceparent(), Tracestate: d.GetTracestate(),
	}
	if record.PackedBody == nil {
		record.Body = d.GetBody()
	}
	if assignments := d.GetAssignments(); len(assignments) == 1 {
		record.Route, record.Key = assignments[0].GetRoute(), assignments[0].GetKey()
	}
	record.PackedHeaders = packHeaders(d)
	return record
}

// packHeaders returns a delivery's headers as its record keeps them.
func packHeaders(d *messages.Delivery) []byte {
	var buffer [512]byte
	list, told := buffer[:0], pack.Told{DeliveryID: d.GetDeliveryId(), EventType: d.GetEventType()}
	for _, h := range d.GetHeaders() {
		list = pack.AppendHeader(list, h.GetName(), h.GetValue(), told)
	}
	return bytes.Clone(list)
}

// delivered is the inverse of acceptedRecord: the delivery as it was received.
func delivered(record *journalv1.TaskAccepted) (*messages.Delivery, error) {
	d := &messages.Delivery{
		Source: record.GetSource(), EventType: record.GetEventType(), DeliveryId: record.GetDeliveryId(),
		Key: record.GetKey(), ReceivedAt: record.GetAt(), MaxAttempts: record.GetMaxAttempts(), Body: record.GetBody(),
		Traceparent: record.GetTraceparent(), Tracestate: record.GetTracestate(),
	}
	for _, h := range record.GetHeaders() {
		d.Headers = append(d.Headers, &messages.Header{Name: h.GetName(), Value: h.GetValue()})
	}
	told := pack.Told{DeliveryID: d.DeliveryId, EventType: d.EventType}
	err := pack.EachHeader(record.GetPackedHeaders(), told, journal.MaxRecordBytes, func(name, value string) {
		d.Headers = append(d.Headers, &messages.Header{Name: name, Value: value})
	})
	if err != nil {
		return nil, err
	}
	if packed := record.GetPackedBody(); packed != nil {
		body, err := pack.Unpack(packed, journal.MaxRecordBytes)
		if err != nil {
			return nil, err
		}
		d.Body = body
	}
	return d, nil
}

// reader is what reads a record back.
type reader interface {
	Read(at journal.Position) (journal.Record, error)
}

// ReadDelivery returns the delivery whose record is at a position.
func ReadDelivery(log ShardLog, at journal.Position) (*messages.Delivery, error) {
	return readDelivery(log, at)
}

// readDelivery returns the delivery that a record holds.
func readDelivery(j reader, at journal.Position) (*messages.Delivery, error) {
	record, err := j.Read(at)
	if err != nil {
		return nil, err
	}
	var accepted journalv1.TaskAccepted
	if journalv1.RecordType(record.Type) == journalv1.RecordType_RECORD_TYPE_TASK_IMPORTED {
		var imported journalv1.TaskImported
		if err := proto.Unmarshal(record.Data, &imported); err != nil {
			return nil, err
		}
		return delivered(imported.GetAccepted())
	}
	if err := proto.Unmarshal(record.Data, &accepted); err != nil {
		return nil, err
	}
	return delivered(&accepted)
}

// message is the task as the status queries show it, without delivery ID, which lies with the body.
func (r record) message() *messages.Task {
	d := r.detail.unpack()
	m := &messages.Task{
		WebhookId: r.ID.String(), Source: r.origin.source, EventType: r.origin.eventType,
		Route: r.place.route, Key: r.place.key,
		Status: messages.Status(r.Status), CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt, DueAt: r.DueAt,
		Attempts: r.Attempts, MaxAttempts: uint32(r.MaxAttempts), Error: d.err, Result: d.result,
	}
	for _, a := range d.log {
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
