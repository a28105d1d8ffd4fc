package actors

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
)

// lingerShards is how long changes that nobody waits for are kept, so that more of a shard become one record: what a shard's part of
// a group costs the store hardly depends on its size. After a crash, attempts that ended within that time run again.
const lingerShards = 50 * time.Millisecond

// storeRetry is the wait before changes that the store did not take are written again.
const storeRetry = 200 * time.Millisecond

// shardWriter is the persister of a cluster's member: the only writer of the logs of the shards that it owns, but for
// deliveries. Blocking I/O is its job.
//
// What the registry decided about a shard is written in order, one batch at a time, again and again until the store has it or
// the shard is lost. It is written under the generation under which it was decided, and a store that has a newer one refuses it.
type shardWriter struct {
	members   *Membership
	registry  *actor.PID
	tail      *actor.PID
	clock     clock.Clock
	metrics   *metrics.Set
	snapshots shardSnapshotter

	open      map[int]*shardQueue
	flushing  bool // a flush is in the mailbox, or will be
	lingering bool
}

// shardQueue is what was decided about one shard and is not in the store yet.
type shardQueue struct {
	generation int64
	gathered   []*store
	closing    []func() // the shard is given away when the queue is empty; nil while it is ours
}

// What the registry tells the writer.
type (
	openShard struct {
		shard      int
		generation int64
	}
	// closeShard ends the writing for a shard: once all is written, or at once. done is called then.
	closeShard struct {
		shard      int
		generation int64
		drop       bool
		done       []func()
	}
	// saveShards asks for snapshots of shards; the answer is snapshotSaved.
	saveShards struct {
		tasks  view
		shards []savedShard
	}
	savedShard struct {
		shard      int
		generation int64
		through    journal.Position
	}
)

// Receive is the table of contents.
func (w *shardWriter) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *store:
		w.gather(ctx, m)
	case flush:
		w.flushing = false
		w.flush(ctx)
	case lingerOver:
		w.lingering = false
		if !w.flushing {
			w.flush(ctx)
		}
	case *openShard:
		w.lose(ctx, m.shard)
		w.open[m.shard] = &shardQueue{generation: m.generation}
	case *closeShard:
		w.close(ctx, m)
	case *saveShards:
		w.snapshots.save(ctx, w.registry, m)
	case settle:
		w.flush(ctx)
		ctx.Respond(settled{})
	case *actor.Stopping:
		w.flush(ctx)
		w.snapshots.wait()
	}
}

func (w *shardWriter) gather(ctx actor.Context, m *store) {
	q, open := w.open[m.shard]
	if !open || q.generation != m.generation {
		refuseAway(ctx, m)
		return
	}
	q.gathered = append(q.gathered, m)
	switch {
	case w.flushing:
	case m.answer != nil:
		w.flushSoon(ctx)
	case !w.lingering:
		w.lingering = true
		w.mailLater(ctx, lingerShards, lingerOver{})
	}
}

func (w *shardWriter) flushSoon(ctx actor.Context) {
	if !w.flushing {
		w.flushing = true
		ctx.Send(ctx.Self(), flush{})
	}
}

func (w *shardWriter) mailLater(ctx actor.Context, d time.Duration, message any) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	w.clock.AfterFunc(d, func() { root.Send(self, message) })
}

// refuseAway answers for a change that is not made.
func refuseAway(ctx actor.Context, m *store) {
	if m.replyTo == nil {
		return
	}
	if _, delivery := m.answer.(*messages.DeliveryAccepted); delivery {
		ctx.Send(m.replyTo, &messages.DeliveryRefused{
			Reason: messages.Refusal_REFUSAL_STORE_UNAVAILABLE, RetryAfter: retryStore, Detail: away.Detail,
		})
		return
	}
	ctx.Send(m.replyTo, away)
}

// lose gives up what is not written of a shard.
func (w *shardWriter) lose(ctx actor.Context, shard int) {
	q, open := w.open[shard]
	if !open {
		return
	}
	delete(w.open, shard)
	for _, m := range q.gathered {
		refuseAway(ctx, m)
	}
	for _, done := range q.closing {
		done()
	}
}

func (w *shardWriter) close(ctx actor.Context, m *closeShard) {
	q, open := w.open[m.shard]
	if !open || q.generation != m.generation {
		for _, done := range m.done {
			done()
		}
		return
	}
	q.closing = append(q.closing, m.done...)
	if m.drop || len(q.gathered) == 0 {
		w.lose(ctx, m.shard)
		return
	}
	q.closing = append(q.closing, func() {})
	w.flushSoon(ctx)
}

// flush writes what has gathered, of each shard one batch, and tells those who wait.
func (w *shardWriter) flush(ctx actor.Context) {
	var batches []ShardBatch
	var taken []int // how many of the queue are in each batch
	bytes := 0
	for number, q := range w.open {
		if len(q.gathered) == 0 || bytes >= maxGroupBytes {
			continue
		}
		batch, n, size := q.batch(number)
		batches, taken, bytes = append(batches, batch), append(taken, n), bytes+size
	}
	if len(batches) == 0 {
		return
	}
	started := w.clock.Now()
	spans, errs := w.members.Log.Append(batches)
	w.metrics.Journal.AppendSeconds.Observe(w.clock.Now().Sub(started).Seconds())
	again, left := false, false
	var written []stretch
	for i, b := range batches {
		q := w.open[b.Shard]
		switch err := errs[i]; {
		case err == nil:
			written = append(written, stretch{shard: b.Shard, span: spans[i]})
			w.written(ctx, b.Shard, q, taken[i])
			left = left || len(q.gathered) > 0
		case errors.Is(err, journal.ErrFenced):
			w.lose(ctx, b.Shard)
			w.members.Fenced(b.Shard, b.Generation)
		default:
			again = true
			w.metrics.Journal.Errors.With("append").Inc()
		}
	}
	if len(written) > 0 {
		ctx.Send(w.tail, &appended{written})
	}
	switch {
	case again && !w.flushing:
		w.flushing = true // by the timer
		w.mailLater(ctx, storeRetry, flush{})
	case left:
		w.flushSoon(ctx)
	}
}

// maxPacked bounds the changes of a shard that become one record, in bytes: it is to fit into a page of the store.
const maxPacked = 4 << 10

// batch encodes the front of a queue, up to a group's bound; n is how much of the queue it is. Several small records become
// one: a row of its own for each is most of what a small one costs the store.
func (q *shardQueue) batch(number int) (b ShardBatch, n, size int) {
	b = ShardBatch{Shard: number, Generation: q.generation}
	var packed journalv1.Changes
	bytes := 0 // of packed
	seal := func() {
		switch {
		case len(packed.Changes) == 1:
			c := packed.Changes[0]
			b.Entries = append(b.Entries, journal.Entry{Type: uint8(c.GetType()), Data: c.GetData()})
		case len(packed.Changes) > 1:
			b.Entries = append(b.Entries, encoded(journalv1.RecordType_RECORD_TYPE_CHANGES, &packed))
		}
		packed.Changes, bytes = nil, 0
	}
	for _, m := range q.gathered {
		if size >= maxGroupBytes {
			break
		}
		n++
		if m.record == nil {
			continue // only an answer, when all before it is written
		}
		e := encoded(m.kind, m.record)
		if size += len(e.Data); bytes+len(e.Data) > maxPacked {
			seal()
		}
		packed.Changes, bytes = append(packed.Changes, &journalv1.Change{Type: m.kind, Data: e.Data}), bytes+len(e.Data)
	}
	seal()
	return b, n, size
}

// encoded is a record of our own making.
func encoded(kind journalv1.RecordType, record proto.Message) journal.Entry {
	data, err := proto.Marshal(record)
	if err != nil {
		panic(fmt.Sprintf("encode a record of type %v: %v", kind, err))
	}
	return journal.Entry{Type: uint8(kind), Data: data}
}

// written answers those who waited for the front of a queue.
func (w *shardWriter) written(ctx actor.Context, number int, q *shardQueue, n int) {
	for _, m := range q.gathered[:n] {
		if m.replyTo != nil {
			ctx.Send(m.replyTo, m.answer)
		}
	}
	q.gathered = append([]*store(nil), q.gathered[n:]...)
	if len(q.gathered) == 0 && q.closing != nil {
		w.lose(ctx, number)
	}
}

// shardSnapshotter writes the snapshots of shards, away from every mailbox.
type shardSnapshotter struct {
	members *Membership
	clock   clock.Clock
	metrics *metrics.Set
	running sync.WaitGroup // at most one
}

// save starts a goroutine that ends by itself; wait waits for it.
func (s *shardSnapshotter) save(ctx actor.Context, replyTo *actor.PID, m *saveShards) {
	system := ctx.ActorSystem()
	s.running.Go(func() {
		started := s.clock.Now()
		var errs []error
		for _, one := range m.shards {
			if err := s.run(m.tasks.of(one.shard, s.members.Shards), one); err != nil {
				s.metrics.Journal.SnapshotErrors.Inc()
				errs = append(errs, fmt.Errorf("shard %d: %w", one.shard, err))
			}
		}
		took := s.clock.Now().Sub(started)
		s.metrics.Journal.SnapshotSeconds.Observe(took.Seconds())
		err := errors.Join(errs...)
		if len(m.shards) > 0 {
			system.EventStream.Publish(SnapshotTaken{Tasks: m.tasks.size, Took: took, Err: err})
		}
		system.Root.Send(replyTo, &snapshotSaved{err: err})
	})
}

func (s *shardSnapshotter) run(tasks view, one savedShard) error {
	if !s.members.Valid(one.shard, one.generation) {
		return nil
	}
	storage := s.members.Log.Storage(one.shard, one.generation)
	err := storage.Save(one.through, func(w io.Writer) error { return writeSnapshot(w, tasks) })
	if errors.Is(err, journal.ErrFenced) {
		s.members.Fenced(one.shard, one.generation)
		return nil
	}
	if err != nil {
		return err
	}
	return storage.Compact(one.through, livePositions(tasks, one.through))
}

func (s *shardSnapshotter) wait() { s.running.Wait() }
