package actors

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// decoded is a record as recovery applies it. It holds nothing of the record's data.
type decoded struct {
	at   journal.Position
	kind journalv1.RecordType // tells which of the others count
	// accepted is that of TaskAccepted and TaskImported; the delivery is missing there: it is the hash of
	// deliveryID, which takes a while, so it is made by whoever applies the record.
	accepted   acceptance
	deliveryID []byte
	// imported is the rest of TaskImported.
	imported *journalv1.TaskImported
	// change is every change of a task; of TaskRedelivered only the ID.
	change change
	// forgotten are the IDs of TasksForgotten, one after the other.
	forgotten []byte
	// lane and paused are those of LanePaused.
	lane   place
	paused bool
}

// decoder decodes records. It knows no task, so it may work ahead of who applies them.
type decoder struct {
	accepted  acceptedDecoder
	started   journalv1.AttemptStarted
	ended     journalv1.AttemptEnded
	made      journalv1.AttemptMade
	cancelled journalv1.TaskCancelled
	requeued  journalv1.TaskRequeued
	replaced  journalv1.TaskSuperseded
	expired   journalv1.TaskExpired
	moved     journalv1.TaskMoved
}

// each decodes a record into what next returns, and calls add when that is done; once for each change that it holds.
func (p *decoder) each(r journal.Record, next func() *decoded, add func() error) error {
	switch journalv1.RecordType(r.Type) {
	case journalv1.RecordType_RECORD_TYPE_CHANGES:
		return p.changes(r, next, add)
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_MADE:
		return p.attemptMade(r, next, add)
	default:
		if err := p.record(r, next()); err != nil {
			return err
		}
		return add()
	}
}

// changes decodes the records of a Changes. They lie where it lies.
func (p *decoder) changes(r journal.Record, next func() *decoded, add func() error) error {
	var m journalv1.Changes
	if err := proto.Unmarshal(r.Data, &m); err != nil {
		return err
	}
	for n, c := range m.GetChanges() {
		kind := c.GetType()
		switch {
		case kind == journalv1.RecordType_RECORD_TYPE_CHANGES:
			return fmt.Errorf("change %d is several itself", n)
		case kind != journalv1.RecordType(uint8(kind)):
			return fmt.Errorf("change %d: unknown record type %d", n, kind)
		}
		if err := p.each(journal.Record{Position: r.Position, Type: uint8(kind), Data: c.GetData()}, next, add); err != nil {
			return fmt.Errorf("change %d: %w", n, err)
		}
	}
	return nil
}

// attemptMade decodes the start and the end of an attempt.
func (p *decoder) attemptMade(r journal.Record, next func() *decoded, add func() error) error {
	m := &p.made
	if err := proto.Unmarshal(r.Data, m); err != nil {
		return err
	}
	id, err := parseID(m.GetTaskId())
	if err != nil {
		return err
	}
	d := next()
	d.at, d.kind = r.Position, journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED
	d.change = change{id: id, event: task.Event{
		Kind: task.AttemptStarted, Attempt: m.GetAttempt(), At: m.GetStartedAt(), Revision: m.GetRevision() - 1,
	}}
	if err := add(); err != nil {
		return err
	}
	d = next()
	d.at, d.kind = r.Position, journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED
	d.change = change{id: id, err: m.GetError(), result: m.GetResult(), event: task.Event{
		Kind: task.AttemptEnded, Attempt: m.GetAttempt(), At: m.GetStartedAt() + m.GetTook(), Revision: m.GetRevision(),
		Outcome: task.Outcome(m.GetOutcome()), Next: task.Status(m.GetNext()), DueAt: m.GetDueAt(),
	}}
	return add()
}

// record decodes a record of one change into d.
func (p *decoder) record(r journal.Record, d *decoded) error {
	d.at, d.kind = r.Position, journalv1.RecordType(r.Type)
	switch d.kind {
	case journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED:
		deliveryID, err := p.accepted.decode(r.Data, &d.accepted)
		d.deliveryID = append(d.deliveryID[:0], deliveryID...)
		return err
	case journalv1.RecordType_RECORD_TYPE_TASK_IMPORTED:
		return d.decodeImported(r.Data)
	case journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN:
		var m journalv1.TasksForgotten
		err := proto.Unmarshal(r.Data, &m)
		d.forgotten = m.GetTaskIds()
		return err
	case journalv1.RecordType_RECORD_TYPE_LANE_PAUSED:
		var m journalv1.LanePaused
		err := proto.Unmarshal(r.Data, &m)
		d.lane, d.paused = place{m.GetRoute(), m.GetKey()}, m.GetPaused()
		return err
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED, journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED,
		journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED, journalv1.RecordType_RECORD_TYPE_TASK_REQUEUED,
		journalv1.RecordType_RECORD_TYPE_TASK_SUPERSEDED, journalv1.RecordType_RECORD_TYPE_TASK_EXPIRED,
		journalv1.RecordType_RECORD_TYPE_TASK_MOVED, journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED:
		d.change = change{}
		return p.change(d.kind, r.Data, &d.change)
	default:
		return fmt.Errorf("unknown record type %d: written by a newer version?", r.Type)
	}
}

func (d *decoded) decodeImported(data []byte) error {
	var m journalv1.TaskImported
	if err := proto.Unmarshal(data, &m); err != nil {
		return err
	}
	if status := task.Status(m.GetStatus()); !status.Valid() || status == task.Processing || status == task.Retrying {
		return fmt.Errorf("imported with status %d", m.GetStatus())
	}
	accepted, err := newAcceptance(m.GetAccepted(), deliveryHash{})
	d.accepted, d.deliveryID = accepted, append(d.deliveryID[:0], m.GetAccepted().GetDeliveryId()...)
	d.imported, m.Accepted = &m, nil
	return err
}

// change is the inverse of change.record.
func (p *decoder) change(kind journalv1.RecordType, data []byte, c *change) (err error) {
	var id []byte
	switch kind {
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED:
		m := &p.started
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.event = task.Event{Kind: task.AttemptStarted, Attempt: m.GetAttempt(), At: m.GetAt(), Revision: m.GetRevision()}
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED:
		m := &p.ended
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.err, c.result = m.GetError(), m.GetResult()
		c.event = task.Event{
			Kind: task.AttemptEnded, Attempt: m.GetAttempt(), At: m.GetAt(), Revision: m.GetRevision(),
			Outcome: task.Outcome(m.GetOutcome()), Next: task.Status(m.GetNext()), DueAt: m.GetDueAt(),
		}
	case journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED:
		var m journalv1.TaskRedelivered
		err, id = proto.Unmarshal(data, &m), m.GetTaskId()
	case journalv1.RecordType_RECORD_TYPE_TASK_SUPERSEDED, journalv1.RecordType_RECORD_TYPE_TASK_EXPIRED,
		journalv1.RecordType_RECORD_TYPE_TASK_MOVED:
		id, err = p.laneChange(kind, data, c)
	default:
		id, err = p.operatorsChange(kind, data, c)
	}
	if err == nil {
		c.id, err = parseID(id)
	}
	return err
}

// operatorsChange decodes what somebody asked for.
func (p *decoder) operatorsChange(kind journalv1.RecordType, data []byte, c *change) (id []byte, err error) {
	if kind == journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED {
		m := &p.cancelled
		err = proto.Unmarshal(data, m)
		c.err = m.GetReason()
		c.event = task.Event{Kind: task.TaskCancelled, At: m.GetAt(), Revision: m.GetRevision()}
		return m.GetTaskId(), err
	}
	m := &p.requeued
	err = proto.Unmarshal(data, m)
	c.event = task.Event{Kind: task.TaskRequeued, At: m.GetAt(), Revision: m.GetRevision()}
	return m.GetTaskId(), err
}

// laneChange decodes what came of the others of a task's lane, of its deadline, or of an operator who moved it.
func (p *decoder) laneChange(kind journalv1.RecordType, data []byte, c *change) (id []byte, err error) {
	switch kind {
	case journalv1.RecordType_RECORD_TYPE_TASK_SUPERSEDED:
		m := &p.replaced
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.event = task.Event{Kind: task.TaskSuperseded, At: m.GetAt(), Revision: m.GetRevision()}
		if err == nil {
			c.by, err = parseID(m.GetBy())
			c.burst = m.GetBurstAt()
		}
	case journalv1.RecordType_RECORD_TYPE_TASK_EXPIRED:
		m := &p.expired
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.err = m.GetError()
		c.event = task.Event{Kind: task.TaskExpired, At: m.GetAt(), Revision: m.GetRevision()}
	default:
		m := &p.moved
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.order = m.GetOrder()
		c.event = task.Event{Kind: task.TaskMoved, At: m.GetAt(), Revision: m.GetRevision()}
	}
	return id, err
}
