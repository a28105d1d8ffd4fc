package actors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// snapshotItem is an entry of a snapshot, decoded: a task, or a paused lane.
type snapshotItem struct {
	entry  entry // without origin, place and parent
	detail *detail
	// origin and place number the pairs, from 1, as the snapshot does; what they stand for comes with the first of each.
	originNumber, placeNumber uint32
	origin                    origin
	place                     place
	parent                    task.ID // of a part
	pausedLane                bool    // there is nothing but place
}

// readSnapshot decodes what writeSnapshot wrote into a table, on one goroutine, and takes it in on another.
func readSnapshot(r io.Reader, t *table, progress func(tasks int)) error {
	reader := snapshotReader{tasks: t}
	t.takeInBulk()
	err := workAhead(func(a *ahead[snapshotItem]) error {
		return decodeSnapshot(bufio.NewReaderSize(r, 1<<20), a)
	}, func(item *snapshotItem) error {
		if err := reader.add(item); err != nil {
			return senseless(t.size()+1, err)
		}
		if t.size()%10_000 == 0 {
			progress(t.size())
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !t.settle() {
		return fmt.Errorf("snapshot: a task comes twice: %w", journal.ErrCorrupt)
	}
	return reader.link()
}

func senseless(number int, err error) error {
	return fmt.Errorf("snapshot: task %d does not make sense: %w", number, errors.Join(err, journal.ErrCorrupt))
}

// decodeSnapshot reads entries to the end.
func decodeSnapshot(r *bufio.Reader, a *ahead[snapshotItem]) error {
	var decoder snapshotDecoder
	var long []byte
	for number := 1; ; number++ {
		size, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if size > maxSnapshotItem {
			return senseless(number, fmt.Errorf("%d bytes", size))
		}
		p, err := r.Peek(int(size))
		if errors.Is(err, bufio.ErrBufferFull) {
			long = slices.Grow(long[:0], int(size))[:size]
			if _, err := io.ReadFull(r, long); err != nil {
				return err
			}
			p, size = long, 0
		} else if err != nil {
			return noEOF(err)
		}
		if err := decoder.decode(p, a.next()); err != nil {
			return senseless(number, err)
		}
		if _, err := r.Discard(int(size)); err != nil {
			return err
		}
		if err := a.add(); err != nil {
			return err
		}
	}
}

// maxSnapshotItem bounds one entry, in bytes: what one record left behind, and a full attempt log.
const maxSnapshotItem = 2 * journal.MaxRecordBytes

// noEOF is for where something is missing.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// The numbers of the fields of a SnapshotTask.
const (
	fieldIDHigh, fieldIDLow, fieldDeliveryHigh, fieldDeliveryLow = 1, 2, 3, 4
	fieldSegment, fieldOffset, fieldLength                       = 5, 6, 7
	fieldOrigin, fieldSource, fieldEventType                     = 8, 9, 10
	fieldStatus, fieldAttempts, fieldSpent, fieldMaxAttempts     = 11, 12, 13, 14
	fieldInterruptions, fieldRevision                            = 15, 16
	fieldCreatedAt, fieldUpdatedAt, fieldDueAt                   = 17, 18, 19
	fieldError, fieldResult, fieldAttemptLog                     = 20, 21, 22
	fieldSince, fieldCrashes                                     = 23, 24
	fieldPlace, fieldRoute, fieldKey                             = 25, 26, 27
	fieldOrder, fieldBurstAt, fieldParent, fieldSplit            = 28, 29, 30, 31
	fieldPausedLane                                              = 32
)

// Which of them are numbers, by how they are encoded.
const (
	fixedFields uint64 = 1<<fieldIDHigh | 1<<fieldIDLow | 1<<fieldDeliveryHigh | 1<<fieldDeliveryLow |
		1<<fieldCreatedAt | 1<<fieldUpdatedAt | 1<<fieldDueAt | 1<<fieldSince
	varintFields uint64 = 1<<fieldSegment | 1<<fieldOffset | 1<<fieldLength | 1<<fieldOrigin | 1<<fieldStatus | 1<<fieldAttempts |
		1<<fieldSpent | 1<<fieldMaxAttempts | 1<<fieldInterruptions | 1<<fieldRevision | 1<<fieldCrashes | 1<<fieldPlace |
		1<<fieldOrder | 1<<fieldBurstAt | 1<<fieldSplit | 1<<fieldPausedLane
)

// snapshotDecoder decodes SnapshotTasks by hand, for there may be a million. The checksum has shown that they are as they were
// written, so it does not look whether texts are valid UTF-8.
type snapshotDecoder struct {
	// The entry that is being read.
	item    *snapshotItem
	numbers [fieldPausedLane + 1]uint64 // by field
	detail  detail
	parent  []byte
}

// decode decodes one. It says what of it makes no sense by itself.
func (d *snapshotDecoder) decode(data []byte, item *snapshotItem) error {
	*d = snapshotDecoder{item: item}
	item.origin, item.place, item.parent = origin{}, place{}, task.ID{}
	if err := eachField(data, d.field); err != nil {
		return err
	}
	return d.finish(item)
}

// field takes in one field. One that is not known, or of another wire type than the message says, is passed over.
func (d *snapshotDecoder) field(f field) error {
	switch {
	case f.kind == protowire.BytesType:
		return d.bytes(f)
	case f.number > fieldPausedLane:
	case f.kind == protowire.Fixed64Type && fixedFields>>f.number&1 != 0,
		f.kind == protowire.VarintType && varintFields>>f.number&1 != 0:
		d.numbers[f.number] = f.value
	}
	return nil
}

func (d *snapshotDecoder) bytes(f field) error {
	switch f.number {
	case fieldSource:
		d.item.origin.source = string(f.bytes)
	case fieldEventType:
		d.item.origin.eventType = string(f.bytes)
	case fieldRoute:
		d.item.place.route = string(f.bytes)
	case fieldKey:
		d.item.place.key = string(f.bytes)
	case fieldError:
		d.detail.err = string(f.bytes)
	case fieldResult:
		d.detail.result = bytes.Clone(f.bytes)
	case fieldParent:
		d.parent = f.bytes
	case fieldAttemptLog:
		var a journalv1.SnapshotAttempt
		if err := proto.Unmarshal(f.bytes, &a); err != nil {
			return err
		}
		d.detail.log = append(d.detail.log, attempt{
			number: a.GetNumber(), startedAt: a.GetStartedAt(), endedAt: a.GetEndedAt(),
			outcome: task.Outcome(a.GetOutcome()), err: a.GetError(),
		})
	}
	return nil
}

// finish makes an entry of what was read.
func (d *snapshotDecoder) finish(item *snapshotItem) error {
	n := &d.numbers
	item.originNumber, item.placeNumber = uint32(n[fieldOrigin]), uint32(n[fieldPlace])
	item.pausedLane = n[fieldPausedLane] != 0
	item.entry = d.entry()
	d.detail.order, d.detail.burst = int64(n[fieldOrder]), int64(n[fieldBurstAt])
	item.detail = nil
	if !d.detail.isEmpty() {
		whole := d.detail
		item.detail = &whole
	}
	e := &item.entry
	switch {
	case item.pausedLane:
	case !e.Status.Valid():
		return fmt.Errorf("status %d", n[fieldStatus])
	case n[fieldSplit] != 0:
		e.role = split
	case len(d.parent) == len(e.ID):
		e.role, item.parent = part, task.ID(d.parent)
	case len(d.parent) > 0:
		return fmt.Errorf("parent ID of %d bytes", len(d.parent))
	}
	return nil
}

// entry is what the numbers say.
func (d *snapshotDecoder) entry() entry {
	n := &d.numbers
	e := entry{
		Task: task.Task{
			ID: task.ID(joined(n[fieldIDHigh], n[fieldIDLow])), Status: task.Status(uint32(n[fieldStatus])),
			CreatedAt: int64(n[fieldCreatedAt]), UpdatedAt: int64(n[fieldUpdatedAt]), DueAt: int64(n[fieldDueAt]),
			Revision: uint32(n[fieldRevision]), Attempts: uint32(n[fieldAttempts]), Spent: uint16(n[fieldSpent]),
			MaxAttempts: uint16(n[fieldMaxAttempts]), Interruptions: uint8(n[fieldInterruptions]),
			Crashes: uint8(n[fieldCrashes]), Since: int64(n[fieldSince]),
		},
		delivery: deliveryHash(joined(n[fieldDeliveryHigh], n[fieldDeliveryLow])),
		at: journal.Position{
			Segment: uint32(n[fieldSegment]), Offset: uint32(n[fieldOffset]), Length: uint32(n[fieldLength]),
		},
	}
	if e.Since == 0 {
		e.Since = e.CreatedAt
	}
	return e
}

// snapshotReader rebuilds a table from a snapshot.
type snapshotReader struct {
	tasks   *table
	origins []origin
	places  []place
	parts   []unlinkedPart
}

// unlinkedPart is a part whose delivery's task may come later.
type unlinkedPart struct {
	slot   slot
	parent task.ID
}

func (r *snapshotReader) add(item *snapshotItem) error {
	if item.pausedLane {
		r.tasks.pause(item.place, true)
		return nil
	}
	if int(item.originNumber) == len(r.origins)+1 {
		r.origins = append(r.origins, item.origin)
	}
	if int(item.placeNumber) == len(r.places)+1 {
		r.places = append(r.places, item.place)
	}
	if int(item.originNumber)-1 >= len(r.origins) || item.originNumber == 0 ||
		int(item.placeNumber)-1 >= len(r.places) || item.placeNumber == 0 {
		return errors.New("its origin or place was not named")
	}
	e := &item.entry
	e.origin = r.tasks.origins.acquire(r.origins[item.originNumber-1])
	e.place = r.tasks.places.acquire(r.places[item.placeNumber-1])
	s := r.tasks.add(e)
	if item.detail != nil {
		r.tasks.setDetail(s, item.detail)
	}
	if e.role == part {
		r.parts = append(r.parts, unlinkedPart{s, item.parent})
	}
	return nil
}

// link gives every part to its delivery's task.
func (r *snapshotReader) link() error {
	parts := make(map[slot][]slot)
	for _, p := range r.parts {
		parent, known := r.tasks.find(p.parent)
		if !known || r.tasks.get(parent).role != split {
			return fmt.Errorf("snapshot: a part of task %v, which is not there: %w", p.parent, journal.ErrCorrupt)
		}
		parts[parent] = append(parts[parent], p.slot)
	}
	for parent, slots := range parts {
		slices.SortFunc(slots, func(a, b slot) int {
			return bytes.Compare(r.tasks.get(a).ID[:], r.tasks.get(b).ID[:])
		})
		r.tasks.link(parent, slots)
	}
	return nil
}
