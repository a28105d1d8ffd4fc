package actors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// State is the registry's state as recovery rebuilt it: what Start begins with. It is used once.
type State struct {
	tasks *table
	// end is behind the last record that took part.
	end     journal.Position
	tail    growth // what the journal held behind the snapshot
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
	t.takeInBulk()
	if err := replay.all(j, covered, progress); err != nil {
		return nil, err
	}
	t.settle()
	return &State{tasks: t, end: j.End(), tail: replay.tail, bridged: replay.bridged}, nil
}

// all applies a journal's records from a position on, while another goroutine reads and decodes those that follow.
func (p *replayer) all(j journal.Journal, from journal.Position, progress Progress) error {
	return workAhead(func(a *ahead[decoded]) error {
		var d decoder
		return j.Replay(from, func(r journal.Record) error {
			p.tail.bytes += len(r.Data) // nobody else looks at it meanwhile
			return misplaced(r.Position, d.each(r, a.next, a.add))
		})
	}, func(d *decoded) error {
		if p.tail.changes++; p.tail.changes%10_000 == 0 {
			progress(p.tail.changes, d.at)
		}
		return misplaced(d.at, p.apply(d))
	})
}

// misplaced adds to an error which record it is about.
func misplaced(at journal.Position, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("record at segment %d offset %d: %w", at.Segment, at.Offset, err)
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
	tail     growth
	// last is where the last task stands in its lane, where the order of the records counts and not that of the IDs: in the
	// log of a cluster's shard, for several members give IDs there. Nil where the IDs' counts.
	last *int64
	// noted are the failed tasks that were sent again since, as other members noted.
	noted   map[task.ID]struct{}
	decoder decoder
	decoded decoded // by record, last
}

// record decodes a record and applies it, or those that it consists of.
func (p *replayer) record(r journal.Record) error {
	return p.decoder.each(r, func() *decoded { return &p.decoded }, func() error { return p.apply(&p.decoded) })
}

func (p *replayer) apply(d *decoded) error {
	switch d.kind {
	case journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED:
		_, err := p.add(d)
		return err
	case journalv1.RecordType_RECORD_TYPE_TASK_IMPORTED:
		return p.imported(d)
	case journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN:
		p.forgotten(d.forgotten)
	case journalv1.RecordType_RECORD_TYPE_LANE_PAUSED:
		p.tasks.pause(d.lane, d.paused)
	case journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED:
		p.redelivered(d.change.id)
	default:
		return p.changed(&d.change)
	}
	return nil
}

func (p *replayer) changed(c *change) error {
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
	if err := p.tasks.change(s, *c); err != nil {
		return fmt.Errorf("task %v: %w", c.id, err)
	}
	return nil
}

// redelivered notes that a failed task was sent again. The note of another member changes nothing by itself.
func (p *replayer) redelivered(id task.ID) {
	if s, known := p.tasks.find(id); known && p.tasks.get(s).Status == task.Failed && p.noted != nil {
		p.noted[id] = struct{}{}
	}
}

func (p *replayer) imported(d *decoded) error {
	s, err := p.add(d)
	if err == nil && p.tasks.get(s).Revision == 0 {
		p.tasks.fillImported(s, d.imported)
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
func (p *replayer) add(d *decoded) (slot, error) {
	a := &d.accepted
	if !p.tasks.isNew(a.id) {
		if s, known := p.tasks.find(a.id); known {
			return s, nil
		}
	}
	a.delivery = hashDelivery(a.origin.source, d.deliveryID)
	s := p.tasks.addAccepted(a, d.at)
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

// forgotten drops the tasks of so many IDs, one after the other.
func (p *replayer) forgotten(ids []byte) {
	for len(ids) >= len(task.ID{}) {
		if s, known := p.tasks.find(task.ID(ids[:16])); known {
			p.tasks.remove(s)
		}
		ids = ids[16:]
	}
}

// waitingTasks returns the tasks that wait, in the order of their lanes, and those whose attempt the end of the process
// has cut off.
func (s *State) waitingTasks() (waiting, running []slot) {
	t := s.tasks
	waiting = make([]slot, 0, t.used)
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
	finished := make([]slot, 0, t.counts[task.Completed]+t.counts[task.Failed]+t.counts[task.Cancelled]+t.counts[task.Superseded])
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
	if !t.isSortedBy(slots, key) {
		slices.SortFunc(slots, compare)
	}
}

// isSortedBy is for what mostly is, and asks for each key once.
func (t *table) isSortedBy(slots []slot, key func(slot) int64) bool {
	last := int64(math.MinInt64)
	for i, s := range slots {
		next := key(s)
		if next < last || next == last && i > 0 && bytes.Compare(t.get(slots[i-1]).ID[:], t.get(s).ID[:]) > 0 {
			return false
		}
		last = next
	}
	return true
}
