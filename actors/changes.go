package actors

import (
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// change is an event of a task with the words that go with it: what is journaled, applied live, and applied again in
// recovery.
type change struct {
	id     task.ID
	event  task.Event
	err    string
	result []byte
}

// record is the change as the journal keeps it.
func (c change) record() (journalv1.RecordType, proto.Message) {
	id, ev := c.id[:], c.event
	switch ev.Kind {
	case task.AttemptStarted:
		return journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED,
			&journalv1.AttemptStarted{TaskId: id, Attempt: ev.Attempt, At: ev.At, Revision: ev.Revision}
	case task.AttemptEnded:
		return journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED, &journalv1.AttemptEnded{
			TaskId: id, Attempt: ev.Attempt, At: ev.At, Outcome: uint32(ev.Outcome), Next: uint32(ev.Next),
			DueAt: ev.DueAt, Error: c.err, Result: c.result, Revision: ev.Revision,
		}
	case task.TaskCancelled:
		return journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED,
			&journalv1.TaskCancelled{TaskId: id, At: ev.At, Reason: c.err, Revision: ev.Revision}
	default:
		return journalv1.RecordType_RECORD_TYPE_TASK_REQUEUED,
			&journalv1.TaskRequeued{TaskId: id, At: ev.At, Revision: ev.Revision}
	}
}

// change applies one to the table: the state by the state machine, the words to the task's detail. While an attempt runs,
// UpdatedAt is when it started, so its line in the log is written once, at its end.
func (t *table) change(s slot, c change) error {
	before := t.get(s).Task
	if err := t.apply(s, c.event); err != nil {
		return err
	}
	line := attempt{number: before.Attempts, startedAt: before.UpdatedAt, endedAt: c.event.At, err: c.err}
	switch {
	case c.event.Kind == task.AttemptEnded:
		line.outcome = c.event.Outcome
		t.replaceDetail(s, func(d *detail) { d.err, d.result, d.log = c.err, c.result, d.logWith(line) })
	case c.event.Kind == task.TaskCancelled && before.Status == task.Processing:
		line.outcome = task.Stopped
		t.replaceDetail(s, func(d *detail) { d.err, d.log = c.err, d.logWith(line) })
	case c.event.Kind == task.TaskCancelled:
		t.replaceDetail(s, func(d *detail) { d.err = c.err })
	}
	return nil
}

// replaceDetail gives the entry a changed copy of its detail.
func (t *table) replaceDetail(s slot, edit func(*detail)) {
	e := t.edit(s)
	d := &detail{}
	if e.detail != nil {
		*d = *e.detail
	}
	edit(d)
	e.detail = d
}

// logWith returns a copy of the attempt log with one more line, without the oldest where it would be too long.
func (d *detail) logWith(line attempt) []attempt {
	kept := d.log
	if len(kept) >= maxAttemptLog {
		kept = kept[len(kept)-maxAttemptLog+1:]
	}
	return append(append(make([]attempt, 0, len(kept)+1), kept...), line)
}
