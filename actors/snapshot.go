package actors

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
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
	var exportErr error
	if s.export != nil {
		if err := s.export(m.tasks.messages()); err != nil {
			exportErr = fmt.Errorf("task file: %w", err)
		}
	}
	if err := s.journal.Compact(m.covered, livePositions(m.tasks, m.covered)); err != nil {
		s.metrics.Journal.Errors.With("compact").Inc()
		return errors.Join(exportErr, fmt.Errorf("compaction: %w", err))
	}
	s.metrics.Journal.Compactions.Inc()
	return exportErr
}

// livePositions returns, in order, where the deliveries lie that remembered tasks still need.
func livePositions(v view, before journal.Position) []journal.Position {
	live := make([]journal.Position, 0, v.size)
	v.each(func(e *entry) bool {
		if !e.at.IsZero() && e.at.Compare(before) < 0 {
			live = append(live, e.at)
		}
		return true
	})
	sort.Slice(live, func(i, j int) bool { return live[i].Compare(live[j]) < 0 })
	return live
}

// messages yields the tasks that are on stable storage, as the status queries show them, without delivery ID and key,
// which lie with the body.
func (v view) messages() iter.Seq[*messages.Task] {
	return func(yield func(*messages.Task) bool) {
		v.each(func(e *entry) bool { return e.at.IsZero() || yield(e.message()) })
	}
}

// writeSnapshot encodes a view: one length-delimited SnapshotTask after the other. Tasks whose delivery is not on stable
// storage yet are left out: their records come after the position that the snapshot covers.
func writeSnapshot(w io.Writer, v view) error {
	buffered := bufio.NewWriterSize(w, 1<<20)
	numbers := make(map[*origin]uint32)
	var scratch journalv1.SnapshotTask
	var err error
	v.each(func(e *entry) bool {
		if e.at.IsZero() {
			return true
		}
		fillSnapshotTask(&scratch, e)
		number, known := numbers[e.origin]
		if !known {
			number = uint32(len(numbers) + 1)
			numbers[e.origin] = number
			scratch.Source, scratch.EventType = e.origin.source, e.origin.eventType
		}
		scratch.Origin = number
		_, err = protodelim.MarshalTo(buffered, &scratch)
		return err == nil
	})
	if err != nil {
		return err
	}
	return buffered.Flush()
}

func fillSnapshotTask(m *journalv1.SnapshotTask, e *entry) {
	m.Reset()
	m.TaskIdHigh, m.TaskIdLow = halves([16]byte(e.ID))
	m.DeliveryHigh, m.DeliveryLow = halves([16]byte(e.delivery))
	m.Segment, m.Offset, m.Length = e.at.Segment, e.at.Offset, e.at.Length
	m.Status, m.Attempts, m.Spent = uint32(e.Status), e.Attempts, uint32(e.Spent)
	m.MaxAttempts, m.Interruptions = uint32(e.MaxAttempts), uint32(e.Interruptions)
	m.Revision, m.CreatedAt, m.UpdatedAt, m.DueAt = e.Revision, uint64(e.CreatedAt), uint64(e.UpdatedAt), uint64(e.DueAt)
	if e.detail == nil {
		return
	}
	m.Error, m.Result = e.detail.err, e.detail.result
	for _, a := range e.detail.log {
		m.AttemptLog = append(m.AttemptLog, &journalv1.SnapshotAttempt{
			Number: a.number, StartedAt: a.startedAt, EndedAt: a.endedAt, Outcome: uint32(a.outcome), Error: a.err,
		})
	}
}

// readSnapshot decodes what writeSnapshot wrote into a table.
func readSnapshot(r io.Reader, t *table, progress func(tasks int)) error {
	buffered := bufio.NewReaderSize(r, 1<<20)
	origins := []*origin{nil}
	var m journalv1.SnapshotTask
	for {
		m.Reset()
		if err := protodelim.UnmarshalFrom(buffered, &m); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		if int(m.GetOrigin()) == len(origins) {
			origins = append(origins, t.originOf(m.GetSource(), m.GetEventType()))
		}
		e, err := snapshotEntry(&m)
		if err != nil || m.GetOrigin() == 0 || int(m.GetOrigin()) >= len(origins) {
			return fmt.Errorf("snapshot: task %d does not make sense: %w", t.size()+1, errors.Join(err, journal.ErrCorrupt))
		}
		e.origin = origins[m.GetOrigin()]
		if _, known := t.byID[e.ID]; known {
			return fmt.Errorf("snapshot: task %v comes twice: %w", e.ID, journal.ErrCorrupt)
		}
		t.add(e)
		if t.size()%10_000 == 0 {
			progress(t.size())
		}
	}
}

func snapshotEntry(m *journalv1.SnapshotTask) (entry, error) {
	e := entry{
		Task: task.Task{
			ID: task.ID(whole(m.GetTaskIdHigh(), m.GetTaskIdLow())), Status: task.Status(m.GetStatus()),
			CreatedAt: int64(m.GetCreatedAt()), UpdatedAt: int64(m.GetUpdatedAt()), DueAt: int64(m.GetDueAt()),
			Revision: m.GetRevision(), Attempts: m.GetAttempts(), Spent: uint16(m.GetSpent()),
			MaxAttempts: uint16(m.GetMaxAttempts()), Interruptions: uint8(m.GetInterruptions()),
		},
		delivery: deliveryHash(whole(m.GetDeliveryHigh(), m.GetDeliveryLow())),
		at:       journal.Position{Segment: m.GetSegment(), Offset: m.GetOffset(), Length: m.GetLength()},
	}
	if !e.Status.Valid() {
		return entry{}, fmt.Errorf("status %d", m.GetStatus())
	}
	if m.GetError() == "" && len(m.GetResult()) == 0 && len(m.GetAttemptLog()) == 0 {
		return e, nil
	}
	d := &detail{err: m.GetError(), result: m.GetResult()}
	for _, a := range m.GetAttemptLog() {
		d.log = append(d.log, attempt{
			number: a.GetNumber(), startedAt: a.GetStartedAt(), endedAt: a.GetEndedAt(),
			outcome: task.Outcome(a.GetOutcome()), err: a.GetError(),
		})
	}
	e.detail = d
	return e, nil
}

func halves(b [16]byte) (high, low uint64) {
	return binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
}

func whole(high, low uint64) (b [16]byte) {
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
