package actors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// State is the registry's state as recovery rebuilt it: what Start begins with. It is used once.
type State struct {
	tasks *table
	// end is behind the last record that took part.
	end     journal.Position
	bridged int
}

// Tasks is how many tasks were found.
func (s *State) Tasks() int { return s.tasks.size() }

// Waiting is how many of them are not final.
func (s *State) Waiting() int { return s.tasks.waiting() }

// Bridged is how many changes had lost those before them: see AfterRepair.
func (s *State) Bridged() int { return s.bridged }

// RecoverOption changes what recovery takes for sound.
type RecoverOption func(*replayer)

// AfterRepair is for a journal that damaged records were cut out of: a change of a task whose earlier ones are lost is
// applied all the same. Such a task may run again although it had ended, never the other way round.
func AfterRepair() RecoverOption { return func(p *replayer) { p.repaired = true } }

// Progress is told how far recovery is, now and then: records or tasks so far, and the position of the last record, zero
// while the snapshot is read.
type Progress func(done int, at journal.Position)

// Recover rebuilds the state from the newest snapshot and the journal's records behind it. It only applies: what was
// decided before the crash is not decided again. ErrCorrupt in either is returned as it is, and so is a record that does
// not follow from those before it.
func Recover(
	j journal.Journal, snapshots journal.Snapshots, progress Progress, opts ...RecoverOption,
) (*State, error) {
	if progress == nil {
		progress = func(int, journal.Position) {}
	}
	t := newTable()
	covered, err := loadSnapshot(snapshots, t, progress)
	if err != nil {
		return nil, err
	}
	replay := replayer{tasks: t}
	for _, set := range opts {
		set(&replay)
	}
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
	return &State{tasks: t, end: j.End(), bridged: replay.bridged}, nil
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
	tasks    *table
	repaired bool // changes may be missing
	bridged  int  // how many gaps there were
	// last is where the last task stands in its lane, where the order of the records counts and not that of the IDs: in the
	// log of a cluster's shard, for several members give IDs there. Nil where the IDs' counts.
	last *int64
	// noted are the failed tasks that were sent again since, as other members noted.
	noted     map[task.ID]struct{}
	head      acceptedHead
	started   journalv1.AttemptStarted
	ended     journalv1.AttemptEnded
	cancelled journalv1.TaskCancelled
	requeued  journalv1.TaskRequeued
	replaced  journalv1.TaskSuperseded
	expired   journalv1.TaskExpired
	moved     journalv1.TaskMoved
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
		journalv1.RecordType_RECORD_TYPE_TASK_CANCELLED, journalv1.RecordType_RECORD_TYPE_TASK_REQUEUED,
		journalv1.RecordType_RECORD_TYPE_TASK_SUPERSEDED, journalv1.RecordType_RECORD_TYPE_TASK_EXPIRED,
		journalv1.RecordType_RECORD_TYPE_TASK_MOVED:
		return p.changed(kind, r.Data)
	case journalv1.RecordType_RECORD_TYPE_LANE_PAUSED:
		return p.lanePaused(r.Data)
	case journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED:
		return p.redelivered(r.Data)
	default:
		return fmt.Errorf("unknown record type %d: written by a newer version?", r.Type)
	}
}

func (p *replayer) changed(kind journalv1.RecordType, data []byte) error {
	c, err := p.decodeChange(kind, data)
	if err != nil {
		return err
	}
	s, known := p.tasks.find(c.id)
	if !known || c.event.Revision <= p.tasks.get(s).Revision {
		return nil
	}
	if p.repaired && c.event.Revision > p.tasks.get(s).Revision+1 {
		p.tasks.bridge(s, c.event)
		p.bridged++
	}
	if e := p.tasks.get(s); e.role == part {
		delete(p.noted, p.tasks.get(e.parent).ID)
	}
	delete(p.noted, c.id)
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
	case journalv1.RecordType_RECORD_TYPE_TASK_REQUEUED:
		m := &p.requeued
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.event = task.Event{Kind: task.TaskRequeued, At: m.GetAt(), Revision: m.GetRevision()}
	default:
		id, err = p.decodeLaneChange(kind, data, &c)
	}
	if err == nil && len(id) != len(c.id) {
		err = fmt.Errorf("task ID of %d bytes", len(id))
	}
	if err == nil {
		c.id = task.ID(id)
	}
	return c, err
}

// decodeLaneChange decodes what came of the others of a task's lane, of its deadline, or of an operator.
func (p *replayer) decodeLaneChange(kind journalv1.RecordType, data []byte, c *change) (id []byte, err error) {
	switch kind {
	case journalv1.RecordType_RECORD_TYPE_TASK_SUPERSEDED:
		m := &p.replaced
		err, id = proto.Unmarshal(data, m), m.GetTaskId()
		c.event = task.Event{Kind: task.TaskSuperseded, At: m.GetAt(), Revision: m.GetRevision()}
		if err == nil && len(m.GetBy()) != len(c.by) {
			return id, fmt.Errorf("task ID of %d bytes", len(m.GetBy()))
		}
		if err == nil {
			c.by, c.burst = task.ID(m.GetBy()), m.GetBurstAt()
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

func (p *replayer) lanePaused(data []byte) error {
	var m journalv1.LanePaused
	if err := proto.Unmarshal(data, &m); err != nil {
		return err
	}
	p.tasks.pause(place{m.GetRoute(), m.GetKey()}, m.GetPaused())
	return nil
}

// redelivered notes that a failed task was sent again. The note of another member changes nothing by itself.
func (p *replayer) redelivered(data []byte) error {
	id, err := redeliveredTask(data)
	if err != nil {
		return err
	}
	if s, known := p.tasks.find(id); known && p.tasks.get(s).Status == task.Failed && p.noted != nil {
		p.noted[id] = struct{}{}
	}
	return nil
}

// redeliveredTask decodes a TaskRedelivered.
func redeliveredTask(data []byte) (task.ID, error) {
	var m journalv1.TaskRedelivered
	if err := proto.Unmarshal(data, &m); err != nil {
		return task.ID{}, err
	}
	if len(m.GetTaskId()) != len(task.ID{}) {
		return task.ID{}, fmt.Errorf("task ID of %d bytes", len(m.GetTaskId()))
	}
	return task.ID(m.GetTaskId()), nil
}

func (p *replayer) accepted(r journal.Record) error {
	if err := p.head.decode(r.Data); err != nil {
		return err
	}
	_, err := p.add(&p.head.TaskAccepted, r.Position)
	return err
}

func (p *replayer) imported(r journal.Record) error {
	var m journalv1.TaskImported
	if err := proto.Unmarshal(r.Data, &m); err != nil {
		return err
	}
	status := task.Status(m.GetStatus())
	if !status.Valid() || status == task.Processing || status == task.Retrying {
		return fmt.Errorf("imported with status %d", m.GetStatus())
	}
	s, err := p.add(m.GetAccepted(), r.Position)
	if err == nil && p.tasks.get(s).Revision == 0 {
		p.tasks.fillImported(s, &m)
	}
	return err
}

// fillImported brings a task just added to where it stood in the other system.
func (t *table) fillImported(s slot, m *journalv1.TaskImported) {
	e := t.edit(s)
	t.count(e, e.Status, -1)
	e.Status, e.Attempts, e.UpdatedAt = task.Status(m.GetStatus()), m.GetAttempts(), m.GetUpdatedAt()
	e.Spent = uint16(min(e.Attempts, uint32(e.MaxAttempts)-1)) // at least one is left
	t.count(e, e.Status, 1)
	if m.GetError() != "" || len(m.GetResult()) > 0 {
		t.setDetail(s, &detail{err: m.GetError(), result: m.GetResult()})
	}
}

// add takes in an accepted delivery, unless a snapshot already brought it, and returns its slot.
func (p *replayer) add(m *journalv1.TaskAccepted, at journal.Position) (slot, error) {
	if len(m.GetTaskId()) != len(task.ID{}) {
		return 0, fmt.Errorf("task ID of %d bytes", len(m.GetTaskId()))
	}
	id := task.ID(m.GetTaskId())
	if s, known := p.tasks.find(id); known {
		return s, nil
	}
	for _, q := range m.GetParts() {
		if len(q.GetTaskId()) != len(task.ID{}) {
			return 0, fmt.Errorf("task ID of %d bytes", len(q.GetTaskId()))
		}
	}
	s := p.tasks.addAccepted(m, at)
	if p.last != nil {
		*p.last = p.tasks.standBehind(s, *p.last)
	}
	return s, nil
}

// standBehind gives the tasks of a delivery, which was just added, a place behind another in their lanes, unless their IDs
// do, and returns it.
func (t *table) standBehind(s slot, last int64) int64 {
	place := max(last+1, idTime(t.get(s).ID))
	for _, r := range t.runnable(s) {
		if idTime(t.get(r).ID) <= last {
			t.replaceDetail(r, func(d *detail) { d.order = place })
		}
	}
	return place
}

// lastOrder is where the last of all tasks stands.
func (t *table) lastOrder() (last int64) {
	for s := slot(0); s < t.next; s++ {
		if t.get(s).used {
			last = max(last, t.order(s))
		}
	}
	return last
}

func (p *replayer) forgotten(r journal.Record) error {
	var m journalv1.TasksForgotten
	if err := proto.Unmarshal(r.Data, &m); err != nil {
		return err
	}
	ids := m.GetTaskIds()
	for len(ids) >= len(task.ID{}) {
		if s, known := p.tasks.find(task.ID(ids[:16])); known {
			p.tasks.remove(s)
		}
		ids = ids[16:]
	}
	return nil
}

// waitingTasks returns the tasks that wait, in the order of their lanes, and those whose attempt the end of the process
// has cut off.
func (s *State) waitingTasks() (waiting, running []slot) {
	t := s.tasks
	for id := slot(0); id < t.next; id++ {
		e := t.get(id)
		switch {
		case !e.used || e.role == split:
		case e.Status == task.Queued || e.Status == task.Retrying:
			waiting = append(waiting, id)
		case e.Status == task.Processing:
			running = append(running, id)
		}
	}
	t.sortBy(waiting, t.order)
	t.sortBy(running, t.order)
	return waiting, running
}

// finishedTasks returns the tasks of deliveries that are final, in the order in which they became so.
func (s *State) finishedTasks() []slot {
	t := s.tasks
	var finished []slot
	for id := slot(0); id < t.next; id++ {
		if e := t.get(id); e.used && e.role != part && e.Status.Final() {
			finished = append(finished, id)
		}
	}
	t.sortBy(finished, func(s slot) int64 { return t.get(s).UpdatedAt })
	return finished
}

// order is where a task stands in its lane: by the time in its ID, for IDs are given in the order of acceptance; by the
// time at which it was made to run again; or where somebody moved it.
func (t *table) order(s slot) int64 {
	if order, _ := t.detail(s).place(); order != 0 {
		return order
	}
	e := t.get(s)
	if e.Requeued() {
		return e.Since
	}
	return idTime(e.ID)
}

// idTime is the time in a UUIDv7, in nanoseconds since 1970: milliseconds, and the twelve bits behind the version as
// their fraction (RFC 9562, section 6.2, method 3).
func idTime(id task.ID) int64 {
	ms := int64(binary.BigEndian.Uint64(id[:8]) >> 16)
	fraction := int64(binary.BigEndian.Uint16(id[6:8]) & 0x0fff)
	return ms*1_000_000 + fraction*1_000_000>>12
}

// sortBy sorts by a key, and tasks with the same key by ID.
func (t *table) sortBy(slots []slot, key func(slot) int64) {
	compare := func(a, b slot) int {
		if c := cmp.Compare(key(a), key(b)); c != 0 {
			return c
		}
		return bytes.Compare(t.get(a).ID[:], t.get(b).ID[:])
	}
	if !slices.IsSortedFunc(slots, compare) {
		slices.SortFunc(slots, compare)
	}
}
