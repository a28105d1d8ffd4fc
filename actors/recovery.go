package actors

import (
	"errors"
	"fmt"
	"sort"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// State is the registry's state as recovery rebuilt it: what Start begins with. It is used once.
type State struct {
	tasks *table
	// end is behind the last record that took part.
	end journal.Position
}

// Tasks is how many tasks were found.
func (s *State) Tasks() int { return s.tasks.size() }

// Waiting is how many of them are not final.
func (s *State) Waiting() int { return s.tasks.waiting() }

// Progress is told how far recovery is, now and then: records or tasks so far, and the position of the last record, zero
// while the snapshot is read.
type Progress func(done int, at journal.Position)

// Recover rebuilds the state from the newest snapshot and the journal's records behind it. It only applies: what was
// decided before the crash is not decided again. ErrCorrupt in either is returned as it is, and so is a record that does
// not follow from those before it.
func Recover(j journal.Journal, snapshots journal.Snapshots, progress Progress) (*State, error) {
	if progress == nil {
		progress = func(int, journal.Position) {}
	}
	t := newTable()
	covered, err := loadSnapshot(snapshots, t, progress)
	if err != nil {
		return nil, err
	}
	replay := replayer{tasks: t}
	records := 0
	err = j.Replay(covered, func(r journal.Record) error {
		if records++; records%10_000 == 0 {
			progress(records, r.Position)
		}
		if err := replay.apply(r); err != nil {
			return fmt.Errorf("record at segment %d offset %d: %w", r.Position.Segment, r.Position.Offset, err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &State{tasks: t, end: j.End()}, nil
}

func loadSnapshot(snapshots journal.Snapshots, t *table, progress Progress) (journal.Position, error) {
	covered, r, err := snapshots.Load()
	if errors.Is(err, journal.ErrNoSnapshot) {
		return journal.Position{}, nil
	}
	if err != nil {
		return covered, err
	}
	err = readSnapshot(r, t, func(tasks int) { progress(tasks, journal.Position{}) })
	return covered, errors.Join(err, r.Close())
}

// replayer applies records to a table. Those that a snapshot already holds are told by the task's revision and skipped.
type replayer struct {
	tasks     *table
	started   journalv1.AttemptStarted
	ended     journalv1.AttemptEnded
	cancelled journalv1.TaskCancelled
	requeued  journalv1.TaskRequeued
}

func (p *replayer) apply(r journal.Record) error {
	switch kind := journalv1.RecordType(r.Type); kind {
	case journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED:
		return p.accepted(r)
	case journalv1.RecordType_RECORD_TYPE_TASK_IMPORTED:
		return p.imported(r)
	case journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN:
		return p.forgotten(r)
	case journalv1.RecordType_RECORD_TYPE_ATTEMPT_STARTED, journalv1.RecordType_RECORD_TYPE_ATTEMPT_ENDED,
		journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED, journalv1.RecordType_RECORD_TYPE_TASK_REQUEUED:
		return p.changed(kind, r.Data)
	default:
		return fmt.Errorf("unknown record type %d: written by a newer version?", r.Type)
	}
}

func (p *replayer) changed(kind journalv1.RecordType, data []byte) error {
	c, err := p.decodeChange(kind, data)
	if err != nil {
		return err
	}
	s, known := p.tasks.byID[c.id]
	if !known || c.event.Revision <= p.tasks.get(s).Revision {
		return nil
	}
	if err := p.tasks.change(s, c); err != nil {
		return fmt.Errorf("task %v: %w", c.id, err)
	}
	return nil
}

// decodeChange is the inverse of change.record.
func (p *replayer) decodeChange(kind journalv1.RecordType, data []byte) (c change, err error) {
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
	case journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED:
		m := &p.cancelled
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.err = m.GetReason()
		c.event = task.Event{Kind: task.TaskCancelled, At: m.GetAt(), Revision: m.GetRevision()}
	default:
		m := &p.requeued
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.event = task.Event{Kind: task.TaskRequeued, At: m.GetAt(), Revision: m.GetRevision()}
	}
	if err == nil && len(id) != len(c.id) {
		err = fmt.Errorf("task ID of %d bytes", len(id))
	}
	if err == nil {
		c.id = task.ID(id)
	}
	return c, err
}

func (p *replayer) accepted(r journal.Record) error {
	var m journalv1.TaskAccepted
	if err := unmarshalHead(r.Data, &m); err != nil {
		return err
	}
	return p.add(&m, r.Position, func(*entry) error { return nil })
}

func (p *replayer) imported(r journal.Record) error {
	var m journalv1.TaskImported
	if err := proto.Unmarshal(r.Data, &m); err != nil {
		return err
	}
	return p.add(m.GetAccepted(), r.Position, func(e *entry) error { return fillImported(e, &m) })
}

func fillImported(e *entry, m *journalv1.TaskImported) error {
	e.Status, e.Attempts, e.UpdatedAt = task.Status(m.GetStatus()), m.GetAttempts(), m.GetUpdatedAt()
	e.Spent = uint16(min(e.Attempts, uint32(e.MaxAttempts)-1)) // at least one is left
	if !e.Status.Valid() || e.Status == task.Processing || e.Status == task.Retrying {
		return fmt.Errorf("imported with status %d", m.GetStatus())
	}
	if m.GetError() != "" || len(m.GetResult()) > 0 {
		e.detail = &detail{err: m.GetError(), result: m.GetResult()}
	}
	return nil
}

func (p *replayer) add(m *journalv1.TaskAccepted, at journal.Position, fill func(*entry) error) error {
	if len(m.GetTaskId()) != len(task.ID{}) {
		return fmt.Errorf("task ID of %d bytes", len(m.GetTaskId()))
	}
	id := task.ID(m.GetTaskId())
	if _, known := p.tasks.byID[id]; known {
		return nil
	}
	e := entry{
		Task:     task.New(id, m.GetAt(), uint16(m.GetMaxAttempts())),
		at:       at,
		delivery: hashDelivery(m.GetSource(), m.GetDeliveryId()),
		origin:   p.tasks.originOf(m.GetSource(), m.GetEventType()),
	}
	if err := fill(&e); err != nil {
		return fmt.Errorf("task %v: %w", id, err)
	}
	p.tasks.add(e)
	return nil
}

func (p *replayer) forgotten(r journal.Record) error {
	var m journalv1.TasksForgotten
	if err := proto.Unmarshal(r.Data, &m); err != nil {
		return err
	}
	ids := m.GetTaskIds()
	for len(ids) >= len(task.ID{}) {
		if s, known := p.tasks.byID[task.ID(ids[:16])]; known {
			p.tasks.remove(s)
		}
		ids = ids[16:]
	}
	return nil
}

// unmarshalHead reads the fields that come before headers and body, and passes those over: recovery of a million tasks
// should not decode what it throws away. The encoder writes fields in the order of their numbers.
func unmarshalHead(data []byte, m *journalv1.TaskAccepted) error {
	const firstSkipped = 8 // headers
	rest := data
	for len(rest) > 0 {
		number, kind, n := protowire.ConsumeTag(rest)
		if n < 0 {
			return protowire.ParseError(n)
		}
		if number >= firstSkipped {
			break
		}
		size := protowire.ConsumeFieldValue(number, kind, rest[n:])
		if size < 0 {
			return protowire.ParseError(size)
		}
		rest = rest[n+size:]
	}
	return proto.Unmarshal(data[:len(data)-len(rest)], m)
}

// queues returns what waits, by what for, oldest first, and what is finished: the order in which each will leave.
func (s *State) queues() (ready, retrying, running, finished []slot) {
	for id := slot(0); id < s.tasks.next; id++ {
		e := s.tasks.get(id)
		switch {
		case !e.used:
		case e.Status == task.Queued:
			ready = append(ready, id)
		case e.Status == task.Retrying:
			retrying = append(retrying, id)
		case e.Status == task.Processing:
			running = append(running, id)
		default:
			finished = append(finished, id)
		}
	}
	s.sortBy(ready, func(e *entry) int64 { return e.CreatedAt })
	s.sortBy(running, func(e *entry) int64 { return e.CreatedAt })
	s.sortBy(finished, func(e *entry) int64 { return e.UpdatedAt })
	return ready, retrying, running, finished
}

func (s *State) sortBy(slots []slot, key func(*entry) int64) {
	less := func(i, j int) bool { return key(s.tasks.get(slots[i])) < key(s.tasks.get(slots[j])) }
	if !sort.SliceIsSorted(slots, less) {
		sort.SliceStable(slots, less)
	}
}
