package actors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/encoding/protodelim"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// Export writes all tasks, without bodies, to the operator's task file. It is called from one goroutine at a time.
type Export func(tasks iter.Seq[*messages.Task]) error

// snapshotter turns a view into a snapshot, an export and a compaction, in that order, away from every mailbox: the view
// is immutable, and the registry asks for the next snapshot only when this one is done.
type snapshotter struct {
	journal   journal.Journal
	snapshots journal.Snapshots
	export    Export // nil for none
	clock     clock.Clock
	metrics   *metrics.Set
	running   sync.WaitGroup // at most one
}

// save starts a goroutine that nobody stops: it ends by itself, wait waits for it, and one cut off by the end of the
// process leaves the previous snapshot in place.
func (s *snapshotter) save(ctx actor.Context, replyTo *actor.PID, m *saveSnapshot) {
	system := ctx.ActorSystem()
	s.running.Go(func() {
		started := s.clock.Now()
		err := s.run(m)
		took := s.clock.Now().Sub(started)
		s.metrics.Journal.SnapshotSeconds.Observe(took.Seconds())
		if err != nil {
			s.metrics.Journal.SnapshotErrors.Inc()
		}
		system.EventStream.Publish(SnapshotTaken{Tasks: m.tasks.size, Took: took, Err: err})
		system.Root.Send(replyTo, &snapshotSaved{err: err})
	})
}

// wait blocks until no snapshot is being written.
func (s *snapshotter) wait() { s.running.Wait() }

func (s *snapshotter) run(m *saveSnapshot) error {
	if err := s.snapshots.Save(m.covered, func(w io.Writer) error { return writeSnapshot(w, m.tasks) }); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	s.metrics.Journal.SnapshotTimestamp.Set(float64(s.clock.Now().UnixMilli()) / 1000)
	var exportErr error
	if s.export != nil {
		if err := s.export(m.tasks.messages()); err != nil {
			exportErr = fmt.Errorf("task file: %w", err)
		}
	}
	started := s.clock.Now()
	if err := s.journal.Compact(m.covered, livePositions(m.tasks, m.covered)); err != nil {
		s.metrics.Journal.Errors.With("compact").Inc()
		return errors.Join(exportErr, fmt.Errorf("compaction: %w", err))
	}
	s.metrics.Journal.CompactionSeconds.Observe(s.clock.Now().Sub(started).Seconds())
	s.metrics.Journal.Compactions.Inc()
	return exportErr
}

// livePositions returns, in order, where the deliveries lie that remembered tasks still need.
func livePositions(v view, before journal.Position) []journal.Position {
	live := make([]journal.Position, 0, v.size)
	v.each(func(r record) bool {
		if r.role != part && !r.at.IsZero() && r.at.Compare(before) < 0 {
			live = append(live, r.at)
		}
		return true
	})
	sort.Slice(live, func(i, j int) bool { return live[i].Compare(live[j]) < 0 })
	return live
}

// messages yields the tasks that are on stable storage, one for each delivery, as the status queries show them, without
// the delivery ID, which lies with the body.
func (v view) messages() iter.Seq[*messages.Task] {
	return func(yield func(*messages.Task) bool) {
		v.each(func(r record) bool { return r.role == part || r.at.IsZero() || yield(r.message()) })
	}
}

// writeSnapshot encodes a view: one length-delimited SnapshotTask after the other. Tasks whose delivery is not on stable
// storage yet are left out: their records come after the position that the snapshot covers.
func writeSnapshot(w io.Writer, v view) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	origins, places := make(map[origin]uint32), make(map[place]uint32)
	var m journalv1.SnapshotTask
	var err error
	for _, number := range v.paused {
		lane := v.places[number].value
		m.Reset()
		m.PausedLane, m.Route, m.Key = true, lane.route, lane.key
		if _, err := protodelim.MarshalTo(buffered, &m); err != nil {
			return err
		}
	}
	v.each(func(r record) bool {
		if r.at.IsZero() {
			return true
		}
		fillSnapshotTask(&m, r)
		var fresh bool
		if m.Origin, fresh = number(origins, r.origin); fresh {
			m.Source, m.EventType = r.origin.source, r.origin.eventType
		}
		if m.Place, fresh = number(places, r.place); fresh {
			m.Route, m.Key = r.place.route, r.place.key
		}
		switch r.role {
		case part:
			id := v.idOf(r.parent)
			m.Parent = id[:]
		case split:
			m.Split = true
		}
		_, err = protodelim.MarshalTo(buffered, &m)
		return err == nil
	})
	if err != nil {
		return err
	}
	return buffered.Flush()
}

// number numbers values from 1 in the order in which they come, and says whether this is the first time.
func number[T comparable](numbers map[T]uint32, value T) (uint32, bool) {
	n, known := numbers[value]
	if !known {
		n = uint32(len(numbers) + 1)
		numbers[value] = n
	}
	return n, !known
}

func fillSnapshotTask(m *journalv1.SnapshotTask, r record) {
	m.Reset()
	m.TaskIdHigh, m.TaskIdLow = halves([16]byte(r.ID))
	m.DeliveryHigh, m.DeliveryLow = halves([16]byte(r.delivery))
	m.Segment, m.Offset, m.Length = r.at.Segment, r.at.Offset, r.at.Length
	m.Status, m.Attempts, m.Spent = uint32(r.Status), r.Attempts, uint32(r.Spent)
	m.MaxAttempts, m.Interruptions, m.Crashes = uint32(r.MaxAttempts), uint32(r.Interruptions), uint32(r.Crashes)
	m.Revision, m.CreatedAt, m.UpdatedAt, m.DueAt = r.Revision, uint64(r.CreatedAt), uint64(r.UpdatedAt), uint64(r.DueAt)
	if r.Requeued() {
		m.Since = uint64(r.Since)
	}
	d := r.detail.unpack()
	m.Error, m.Result, m.Order, m.BurstAt = d.err, d.result, d.order, d.burst
	for _, a := range d.log {
		m.AttemptLog = append(m.AttemptLog, &journalv1.SnapshotAttempt{
			Number: a.number, StartedAt: a.startedAt, EndedAt: a.endedAt, Outcome: uint32(a.outcome), Error: a.err,
		})
	}
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

// readSnapshot decodes what writeSnapshot wrote into a table.
func readSnapshot(r io.Reader, t *table, progress func(tasks int)) error {
	buffered := bufio.NewReaderSize(r, 1<<20)
	reader := snapshotReader{tasks: t}
	var m journalv1.SnapshotTask
	for {
		m.Reset()
		err := protodelim.UnmarshalFrom(buffered, &m)
		if errors.Is(err, io.EOF) {
			return reader.link()
		}
		if err != nil {
			return err
		}
		if err := reader.add(&m); err != nil {
			return fmt.Errorf("snapshot: task %d does not make sense: %w", t.size()+1, errors.Join(err, journal.ErrCorrupt))
		}
		if t.size()%10_000 == 0 {
			progress(t.size())
		}
	}
}

func (r *snapshotReader) add(m *journalv1.SnapshotTask) error {
	if m.GetPausedLane() {
		r.tasks.pause(place{m.GetRoute(), m.GetKey()}, true)
		return nil
	}
	if int(m.GetOrigin()) == len(r.origins)+1 {
		r.origins = append(r.origins, origin{m.GetSource(), m.GetEventType()})
	}
	if int(m.GetPlace()) == len(r.places)+1 {
		r.places = append(r.places, place{m.GetRoute(), m.GetKey()})
	}
	e, err := snapshotEntry(m)
	switch {
	case err != nil:
		return err
	case m.GetOrigin() == 0 || int(m.GetOrigin()) > len(r.origins) || m.GetPlace() == 0 || int(m.GetPlace()) > len(r.places):
		return errors.New("its origin or place was not named")
	}
	if _, known := r.tasks.find(e.ID); known {
		return fmt.Errorf("task %v comes twice", e.ID)
	}
	e.origin = r.tasks.origins.acquire(r.origins[m.GetOrigin()-1])
	e.place = r.tasks.places.acquire(r.places[m.GetPlace()-1])
	s := r.tasks.add(e)
	r.tasks.setDetail(s, snapshotDetail(m))
	if e.role == part {
		r.parts = append(r.parts, unlinkedPart{s, task.ID(m.GetParent())})
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

func snapshotEntry(m *journalv1.SnapshotTask) (entry, error) {
	e := entry{
		Task: task.Task{
			ID: task.ID(joined(m.GetTaskIdHigh(), m.GetTaskIdLow())), Status: task.Status(m.GetStatus()),
			CreatedAt: int64(m.GetCreatedAt()), UpdatedAt: int64(m.GetUpdatedAt()), DueAt: int64(m.GetDueAt()),
			Revision: m.GetRevision(), Attempts: m.GetAttempts(), Spent: uint16(m.GetSpent()),
			MaxAttempts: uint16(m.GetMaxAttempts()), Interruptions: uint8(m.GetInterruptions()),
			Crashes: uint8(m.GetCrashes()), Since: int64(m.GetSince()),
		},
		delivery: deliveryHash(joined(m.GetDeliveryHigh(), m.GetDeliveryLow())),
		at:       journal.Position{Segment: m.GetSegment(), Offset: m.GetOffset(), Length: m.GetLength()},
	}
	switch {
	case !e.Status.Valid():
		return entry{}, fmt.Errorf("status %d", m.GetStatus())
	case m.GetSplit():
		e.role = split
	case len(m.GetParent()) == len(e.ID):
		e.role = part
	case len(m.GetParent()) > 0:
		return entry{}, fmt.Errorf("parent ID of %d bytes", len(m.GetParent()))
	}
	if e.Since == 0 {
		e.Since = e.CreatedAt
	}
	return e, nil
}

func snapshotDetail(m *journalv1.SnapshotTask) *detail {
	d := &detail{err: m.GetError(), result: m.GetResult(), order: m.GetOrder(), burst: m.GetBurstAt()}
	for _, a := range m.GetAttemptLog() {
		d.log = append(d.log, attempt{
			number: a.GetNumber(), startedAt: a.GetStartedAt(), endedAt: a.GetEndedAt(),
			outcome: task.Outcome(a.GetOutcome()), err: a.GetError(),
		})
	}
	return d
}

func halves(b [16]byte) (high, low uint64) {
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func joined(high, low uint64) (b [16]byte) {
	binary.BigEndian.PutUint64(b[:8], high)
	binary.BigEndian.PutUint64(b[8:], low)
	return b
}

// SnapshotTaken is published on the event stream after every snapshot.
type SnapshotTaken struct {
	// Tasks is how many it holds, Took how long it was written, Err why it failed.
	Tasks int
	Took  time.Duration
	Err   error
}

// Log says how the event is to be logged.
func (e SnapshotTaken) Log() (slog.Level, string, []slog.Attr) {
	attrs := []slog.Attr{slog.Int("tasks", e.Tasks), slog.Int64("duration_ms", e.Took.Milliseconds())}
	if e.Err != nil {
		return slog.LevelError, "the snapshot failed; the one before it is still the newest",
			append(attrs, slog.String("error", e.Err.Error()))
	}
	return slog.LevelDebug, "snapshot taken", attrs
}
