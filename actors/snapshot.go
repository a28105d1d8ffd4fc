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
	if s.export != nil && m.export {
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
