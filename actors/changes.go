package actors

import (
	"strings"

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
	by     task.ID // of TaskSuperseded: the newer task
	burst  int64   // of TaskSuperseded: when the burst began that the newer one is now the last of
	order  int64   // of TaskMoved: the place in the lane
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
	case task.TaskSuperseded:
		return journalv1.RecordType_RECORD_TYPE_TASK_SUPERSEDED,
			&journalv1.TaskSuperseded{TaskId: id, At: ev.At, Revision: ev.Revision, By: c.by[:], BurstAt: c.burst}
	case task.TaskExpired:
		return journalv1.RecordType_RECORD_TYPE_TASK_EXPIRED,
			&journalv1.TaskExpired{TaskId: id, At: ev.At, Revision: ev.Revision, Error: c.err}
	case task.TaskMoved:
		return journalv1.RecordType_RECORD_TYPE_TASK_MOVED,
			&journalv1.TaskMoved{TaskId: id, At: ev.At, Revision: ev.Revision, Order: c.order}
	default:
		return journalv1.RecordType_RECORD_TYPE_TASK_REQUEUED,
			&journalv1.TaskRequeued{TaskId: id, At: ev.At, Revision: ev.Revision}
	}
}

// stackFollows stands between what a handler panicked with and the stack.
const stackFollows = "\n\ngoroutine "

// change applies one to the table: the state by the state machine, the words to the task's detail. While an attempt runs,
// UpdatedAt is when it started, so its line in the log is written once, at its end.
func (t *table) change(s slot, c change) error {
	before := t.get(s).Task
	if err := t.apply(s, c.event); err != nil {
		return err
	}
	line := attempt{number: before.Attempts, startedAt: before.UpdatedAt, endedAt: c.event.At, err: c.err}
	switch c.event.Kind {
	case task.AttemptEnded:
		line.outcome = c.event.Outcome
		message, _, _ := strings.Cut(c.err, stackFollows) // the stack is for the log
		t.replaceDetail(s, func(d *detail) { d.err, d.result, d.log = message, c.result, d.logWith(line) })
	case task.TaskCancelled, task.TaskExpired:
		t.replaceDetail(s, func(d *detail) { d.err = c.err })
	case task.TaskSuperseded:
		c.err = "superseded by " + c.by.String()
		line.err = c.err
		t.replaceDetail(s, func(d *detail) { d.err = c.err })
		if by, known := t.find(c.by); known && c.burst != 0 {
			t.replaceDetail(by, func(d *detail) { d.burst = c.burst })
		}
	case task.TaskMoved:
		t.replaceDetail(s, func(d *detail) { d.order = c.order })
	case task.TaskRequeued:
		if order, burst := t.detail(s).place(); order != 0 || burst != 0 {
			t.replaceDetail(s, func(d *detail) { d.order, d.burst = 0, 0 })
		}
	}
	if before.Status == task.Processing && c.event.Kind != task.AttemptEnded {
		line.outcome = task.Stopped
		t.replaceDetail(s, func(d *detail) { d.log = d.logWith(line) })
	}
	if e := t.get(s); e.role == part {
		t.follow(e.parent)
	}
	return nil
}

// replaceDetail gives the entry a changed copy of its detail.
func (t *table) replaceDetail(s slot, edit func(*detail)) {
	d := t.detail(s).unpack()
	edit(d)
	t.setDetail(s, d)
}
