package actors

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/metrics"
)

const (
	// maxGroupBytes is how large a group may grow before it is written whatever else waits.
	maxGroupBytes = 8 << 20
	// lingerChanges is how long state changes may wait for a group to ride on before they are written for their own sake.
	lingerChanges = 2 * time.Millisecond
	// lazySync is how long a state change may wait for a group that syncs before it is synced for its own sake.
	lazySync = 50 * time.Millisecond
	// fullRetry is the wait before state changes that found no room at all are tried again.
	fullRetry = time.Second
)

// persister is the only writer of the journal and of snapshots; blocking I/O is its job.
//
// Group commit without a timer: the first record that somebody waits for makes the persister send itself a flush. The
// flush queues behind whatever else is in the mailbox by then, so the group is all that gathered while the last one was
// synced. Its answers are sent AFTER the sync and BEFORE the registry hears of it. State changes ride along. Where no such
// group comes, they are written after lingerChanges, which outlives the process, and synced after lazySync.
type persister struct {
	journal   journal.Journal
	snapshots *snapshotter
	registry  *actor.PID
	clock     clock.Clock
	metrics   *metrics.Set
	fail      func(error)
	retryFull uint32

	gathered      []*store
	gatheredBytes int
	flushing      bool // a flush is in the mailbox
	lingering     bool // a lingerOver is on its way
	dirty         bool // something written is not synced
	syncing       bool // a syncDue is on its way
	failed        bool

	encoder   groupEncoder
	positions []journal.Position
}

// Receive is the persister's table of contents.
func (p *persister) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *store:
		p.gather(ctx, m)
	case flush:
		p.flushing = false
		p.flush(ctx)
	case lingerOver:
		p.lingering = false
		if !p.flushing {
			p.flush(ctx)
		}
	case syncDue:
		p.syncChanges()
	case settle:
		p.flush(ctx)
		p.syncChanges()
		ctx.Respond(settled{})
	case *saveSnapshot:
		p.saveSnapshot(ctx, m)
	case *actor.Stopping:
		p.flush(ctx)
		p.syncChanges()
		p.snapshots.wait()
	}
}

func (p *persister) gather(ctx actor.Context, m *store) {
	p.gathered = append(p.gathered, m)
	size := m.size
	if size == 0 {
		size = proto.Size(m.record)
	}
	p.gatheredBytes += size
	switch {
	case p.gatheredBytes >= maxGroupBytes:
		p.flush(ctx)
	case p.flushing:
	case m.answer != nil:
		p.flushing = true
		ctx.Send(ctx.Self(), flush{})
	case !p.lingering:
		p.lingering = true
		p.mailLater(ctx, lingerChanges, lingerOver{})
	}
}

// mailLater mails a message to the persister itself once d has passed.
func (p *persister) mailLater(ctx actor.Context, d time.Duration, message any) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	p.clock.AfterFunc(d, func() { root.Send(self, message) })
}

// flush writes what has gathered as one group and tells everyone who waits.
func (p *persister) flush(ctx actor.Context) {
	group := p.gathered
	if len(group) == 0 {
		return
	}
	p.gathered, p.gatheredBytes = nil, 0
	if p.failed {
		p.report(ctx, group, nil, &messages.DeliveryRefused{Reason: messages.Refusal_REFUSAL_STORAGE_FAILED})
		return
	}
	fresh, answers := census(group)
	positions, err := p.append(group, journal.Options{Sync: answers > 0, Reserve: fresh == 0})
	if errors.Is(err, journal.ErrFull) && fresh > 0 {
		p.flushWithoutFresh(ctx, group, err)
		return
	}
	switch {
	case err == nil:
		p.report(ctx, group, positions, nil)
	case errors.Is(err, journal.ErrFull):
		p.keep(ctx, group)
	default:
		p.failed = true
		p.metrics.Journal.Errors.With("append").Inc()
		p.report(ctx, group, nil, &messages.DeliveryRefused{Reason: messages.Refusal_REFUSAL_STORAGE_FAILED})
		p.fail(err)
	}
}

// census counts the new deliveries of a group, and the records that somebody waits for.
func census(group []*store) (fresh, answers int) {
	for _, m := range group {
		if m.fresh {
			fresh++
		}
		if m.answer != nil {
			answers++
		}
	}
	return fresh, answers
}

// flushWithoutFresh refuses the new deliveries of a group that found no room, and writes the rest, which may use the
// reserve.
func (p *persister) flushWithoutFresh(ctx actor.Context, group []*store, why error) {
	var fresh, rest []*store
	for _, m := range group {
		if m.fresh {
			fresh = append(fresh, m)
		} else {
			rest = append(rest, m)
		}
	}
	refusal := &messages.DeliveryRefused{
		Reason: messages.Refusal_REFUSAL_STORAGE_FULL, RetryAfter: p.retryFull, Detail: "no room for new deliveries",
	}
	if errors.Is(why, journal.ErrBudget) {
		refusal.Reason = messages.Refusal_REFUSAL_STORAGE_BUDGET
	}
	p.report(ctx, fresh, nil, refusal)
	p.gathered = append(rest, p.gathered...)
	p.flush(ctx)
}

// keep holds on to state changes for which there is no room at all, until there is. Their order is kept.
func (p *persister) keep(ctx actor.Context, group []*store) {
	p.gathered = append(group, p.gathered...)
	p.flushing = true // by the timer
	p.mailLater(ctx, fullRetry, flush{})
}

// append encodes a group and gives it to the journal. The positions are in the order of the group; deliveries, and what is
// waited for, have one.
func (p *persister) append(group []*store, opts journal.Options) ([]journal.Position, error) {
	if err := p.encoder.encode(group); err != nil {
		return nil, err
	}
	started := p.clock.Now()
	positions, err := p.journal.Append(p.positions[:0], p.encoder.entries, opts)
	p.metrics.Journal.AppendSeconds.Observe(p.clock.Now().Sub(started).Seconds())
	p.metrics.Journal.GroupRecords.Observe(float64(len(p.encoder.entries)))
	if err != nil {
		return nil, err
	}
	p.positions, p.dirty = positions, !opts.Sync
	return p.encoder.placed(positions), nil
}

// report tells the registry, and then those who wait: whatever they ask for next finds the registry informed. Without
// positions the new deliveries were refused.
func (p *persister) report(ctx actor.Context, group []*store, at []journal.Position, refusal *messages.DeliveryRefused) {
	if p.registry != nil {
		news := newsOf(group, at, refusal, p.journal.End())
		if at != nil {
			news.growth = growth{changes: len(group), bytes: p.encoder.bytes()}
		}
		ctx.Send(p.registry, news)
	}
	for _, m := range group {
		switch {
		case m.replyTo == nil:
		case at == nil:
			ctx.Send(m.replyTo, refusal)
		default:
			ctx.Send(m.replyTo, m.answer)
		}
	}
	p.syncLater(ctx)
}

// newsOf is what the registry is told of a group.
func newsOf(group []*store, at []journal.Position, refusal *messages.DeliveryRefused, end journal.Position) *stored {
	told := &stored{refusal: refusal, end: end}
	for i, m := range group {
		if !m.fresh {
			continue
		}
		var position journal.Position
		if at != nil {
			position = at[i]
		}
		told.fresh = append(told.fresh, storedDelivery{item: m.item, at: position})
	}
	return told
}

// syncLater sees to it that state changes that no synced group followed do not stay unsynced for long.
func (p *persister) syncLater(ctx actor.Context) {
	if !p.dirty || p.syncing {
		return
	}
	p.syncing = true
	p.mailLater(ctx, lazySync, syncDue{})
}

// saveSnapshot syncs first: a snapshot must not cover what a power cut may take back, for the positions would be given out
// again, to records that no recovery from this snapshot reads.
func (p *persister) saveSnapshot(ctx actor.Context, m *saveSnapshot) {
	p.syncChanges()
	if p.failed {
		ctx.Send(p.registry, &snapshotSaved{err: journal.ErrFailed})
		return
	}
	p.snapshots.save(ctx, p.registry, m)
}

func (p *persister) syncChanges() {
	p.syncing = false
	if !p.dirty || p.failed {
		return
	}
	if _, err := p.journal.Append(nil, nil, journal.Options{Sync: true, Reserve: true}); err != nil {
		p.failed = true
		p.metrics.Journal.Errors.With("sync").Inc()
		p.fail(err)
		return
	}
	p.dirty = false
}
