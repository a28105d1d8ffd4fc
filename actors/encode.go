package actors

import (
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

const (
	// maxScratchBytes is how large the encoding buffer may stay after a group.
	maxScratchBytes = 16 << 20
	// nowhere is the place of a change that has no record of its own.
	nowhere = -1
	// maxChangesBytes is how large a record of several changes may grow before the next one is begun.
	maxChangesBytes = 1 << 20
)

// groupEncoder makes the records of a group. Deliveries, and what somebody waits for, are records of their own. The other
// changes share one, for a record's head is half as large as a change; an attempt that starts and ends within it is one
// change. It stands behind the deliveries among which its changes came, for some may be about their tasks, and before what
// is waited for and came after them. So the changes of a task, and those of tasks that it has to do with, keep their order.
type groupEncoder struct {
	entries []journal.Entry

	scratch   []byte
	planned   []plannedRecord
	shared    plannedRecord   // of changes that have not got their place yet
	running   map[task.ID]int // attempts that start in it, by their place there
	places    []int           // which record, and then which entry, each of the group became; nowhere for those that share one
	positions []journal.Position
}

// plannedRecord is a record to be encoded.
type plannedRecord struct {
	only      plannedChange   // where it stands alone
	changes   []plannedChange // that share it, else
	forgotten []byte          // IDs of tasks that are forgotten with the others
	entry     int             // the first entry that it became
}

type plannedChange struct {
	kind   journalv1.RecordType
	record proto.Message // nil for what another one says
}

// encode makes entries of a group. They are valid until the next call.
func (e *groupEncoder) encode(group []*store) error {
	e.plan(group)
	if cap(e.scratch) > maxScratchBytes {
		e.scratch = nil
	}
	e.scratch, e.entries = e.scratch[:0], e.entries[:0]
	for i := range e.planned {
		if err := e.record(&e.planned[i]); err != nil {
			return err
		}
	}
	for i, place := range e.places {
		if place != nowhere {
			e.places[i] = e.planned[place].entry
		}
	}
	clear(e.planned) // it must not keep alive what was encoded
	begin := 0
	for i := range e.entries {
		end := begin + len(e.entries[i].Data)
		e.entries[i].Data = e.scratch[begin:end]
		begin = end
	}
	return nil
}

// bytes is how much the data of the entries is.
func (e *groupEncoder) bytes() int { return len(e.scratch) }

// plan decides which records a group becomes.
func (e *groupEncoder) plan(group []*store) {
	e.planned, e.places = e.planned[:0], e.places[:0]
	for _, m := range group {
		if !m.fresh && m.answer == nil {
			e.places = append(e.places, nowhere)
			e.join(m)
			continue
		}
		if !m.fresh {
			e.endShared()
		}
		e.places = append(e.places, len(e.planned))
		e.planned = append(e.planned, plannedRecord{only: plannedChange{m.kind, m.record}})
	}
	e.endShared()
}

// endShared gives the record that changes have joined its place, if there is one.
func (e *groupEncoder) endShared() {
	if len(e.shared.forgotten) > 0 { // what is forgotten has no changes any more
		e.shared.changes = append(e.shared.changes, plannedChange{
			journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN, &journalv1.TasksForgotten{TaskIds: e.shared.forgotten},
		})
	}
	if len(e.shared.changes) > 0 {
		e.planned = append(e.planned, e.shared)
	}
	e.shared = plannedRecord{}
	clear(e.running)
}

// join adds a change to the record of several.
func (e *groupEncoder) join(m *store) {
	change := plannedChange{m.kind, m.record}
	switch record := m.record.(type) {
	case *journalv1.TasksForgotten:
		e.shared.forgotten = append(e.shared.forgotten, record.GetTaskIds()...)
		return
	case *journalv1.AttemptStarted:
		if e.running == nil {
			e.running = make(map[task.ID]int)
		}
		e.running[task.ID(record.GetTaskId())] = len(e.shared.changes)
	case *journalv1.AttemptEnded:
		if place, known := e.running[task.ID(record.GetTaskId())]; known {
			if made := attemptMade(e.shared.changes[place].record, record); made != nil {
				e.shared.changes[place].record = nil
				change = plannedChange{journalv1.RecordType_RECORD_TYPE_ATTEMPT_MADE, made}
			}
		}
	}
	e.shared.changes = append(e.shared.changes, change)
}

// attemptMade is the start and the end of an attempt in one; nil if the one does not follow the other.
func attemptMade(start proto.Message, ended *journalv1.AttemptEnded) *journalv1.AttemptMade {
	started, ok := start.(*journalv1.AttemptStarted)
	if !ok || started.GetAttempt() != ended.GetAttempt() || started.GetRevision()+1 != ended.GetRevision() {
		return nil
	}
	return &journalv1.AttemptMade{
		TaskId: ended.GetTaskId(), Attempt: ended.GetAttempt(), StartedAt: started.GetAt(),
		Took: ended.GetAt() - started.GetAt(), Outcome: ended.GetOutcome(), Next: ended.GetNext(),
		DueAt: ended.GetDueAt(), Error: ended.GetError(), Result: ended.GetResult(), Revision: ended.GetRevision(),
	}
}

// record encodes what was planned as one record, or, where it would be too large, as several.
func (e *groupEncoder) record(r *plannedRecord) error {
	r.entry = len(e.entries)
	only, left := r.only, 0
	for _, c := range r.changes {
		if c.record != nil {
			only, left = c, left+1
		}
	}
	begin := len(e.scratch)
	if left < 2 {
		encoded, err := proto.MarshalOptions{}.MarshalAppend(e.scratch, only.record)
		e.scratch = encoded
		e.end(only.kind, begin)
		return err
	}
	for _, c := range r.changes {
		if c.record == nil {
			continue
		}
		if err := e.change(c); err != nil {
			return err
		}
		if len(e.scratch)-begin >= maxChangesBytes {
			e.end(journalv1.RecordType_RECORD_TYPE_CHANGES, begin)
			begin = len(e.scratch)
		}
	}
	if len(e.scratch) > begin {
		e.end(journalv1.RecordType_RECORD_TYPE_CHANGES, begin)
	}
	return nil
}

// The numbers of Changes.changes, Change.type and Change.data.
const (
	changesField protowire.Number = 1
	typeField    protowire.Number = 1
	dataField    protowire.Number = 2
)

// change appends one of Changes.changes.
func (e *groupEncoder) change(c plannedChange) error {
	size := proto.Size(c.record)
	b := protowire.AppendTag(e.scratch, changesField, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(protowire.SizeTag(typeField)+protowire.SizeVarint(uint64(c.kind))+
		protowire.SizeTag(dataField)+protowire.SizeBytes(size)))
	b = protowire.AppendVarint(protowire.AppendTag(b, typeField, protowire.VarintType), uint64(c.kind))
	b = protowire.AppendVarint(protowire.AppendTag(b, dataField, protowire.BytesType), uint64(size))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, c.record)
	e.scratch = b
	return err
}

// end makes an entry of what was encoded from begin on. Its bytes are put in their place when no more are appended; until
// then they only tell how many there are.
func (e *groupEncoder) end(kind journalv1.RecordType, begin int) {
	e.entries = append(e.entries, journal.Entry{Type: uint8(kind), Data: e.scratch[begin:]})
}

// placed returns the positions of a group's records, in the order of the group, from those of the entries; zero for those that
// have none of their own.
func (e *groupEncoder) placed(entries []journal.Position) []journal.Position {
	e.positions = e.positions[:0]
	for _, place := range e.places {
		var at journal.Position
		if place != nowhere {
			at = entries[place]
		}
		e.positions = append(e.positions, at)
	}
	return e.positions
}
