package actors

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// tailInterval is how often the logs of a member's shards are looked at although nobody said that there is something new:
// those who say so may be lost.
const tailInterval = time.Second

// tailed are the kinds of records that others than the owner append.
var tailed = []uint8{
	uint8(journalv1.RecordType_RECORD_TYPE_TASK_ACCEPTED), uint8(journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED),
}

const (
	// gapPatience is how long what lies between this member's own records is waited for before the log is asked: mostly they are
	// its own as well, and on their way here.
	gapPatience = 20 * time.Millisecond
	// maxAhead bounds the records behind a gap that are kept for each shard.
	maxAhead = 1024
)

// tail follows the logs of the shards that this member owns, and mails the registry what other members, or this one's
// intake, have appended. What this member appended it need not ask for, if it follows what was known. Blocking I/O is its job.
type tail struct {
	log      ShardLog
	registry *actor.PID
	clock    clock.Clock
	metrics  *metrics.Set

	followed map[int]*tailedShard
	told     map[int]struct{} // have something new, as somebody said
	looking  bool             // a look is in the mailbox
	minding  bool             // a look at gaps will be in the mailbox
}

// tailedShard is one of them.
type tailedShard struct {
	generation int64
	after      journal.Position
	mailed     journal.Position // how far the registry knows that it was followed
	ahead      []stretch        // behind a gap, in order
}

// stretch is what this member appended to a shard's log in one piece; records are those that the registry does not know.
type stretch struct {
	shard   int
	span    ShardSpan
	records []journal.Record
}

// What others tell the tail, and it tells itself.
type (
	// appended says what this member has appended, to shards of its own or of others. Intake and persister to tail.
	appended struct{ written []stretch }
	mindGaps struct{}
	// follow asks for what comes behind a position. Registry to tail.
	follow struct {
		shard      int
		generation int64
		after      journal.Position
	}
	// unfollow ends it. Registry to tail.
	unfollow struct {
		shard      int
		generation int64
	}
	// shardsTold says that there is something new. Intake, or another member's by way of the Troupe, to tail.
	shardsTold struct{ shards []int }
	// lookFor has the log of a shard looked at now; the answer, looked, comes when the registry was mailed what was found.
	lookFor   struct{ shard int }
	looked    struct{}
	lookNow   struct{}
	lookAtAll struct{}
	// shardNews is what was found. Tail to registry.
	shardNews struct {
		ShardNews
		generation int64
	}
)

// Receive is the table of contents.
func (t *tail) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		t.later(ctx)
	case *follow:
		t.followed[m.shard] = &tailedShard{generation: m.generation, after: m.after, mailed: m.after}
		t.look(ctx, m.shard)
	case *unfollow:
		if f, known := t.followed[m.shard]; known && f.generation == m.generation {
			delete(t.followed, m.shard)
		}
	case *shardsTold:
		t.look(ctx, m.shards...)
	case *appended:
		t.appended(ctx, m.written)
	case mindGaps:
		t.minding = false
		t.mindGaps(ctx)
	case *lookFor:
		t.told[m.shard] = struct{}{}
		t.read(ctx)
		ctx.Respond(looked{})
	case lookNow:
		t.looking = false
		t.read(ctx)
	case lookAtAll:
		for shard, f := range t.followed {
			t.told[shard] = struct{}{}
			if f.after.Compare(f.mailed) > 0 {
				t.mail(ctx, f, ShardNews{Shard: shard, Through: f.after})
			}
		}
		t.read(ctx)
		t.later(ctx)
	}
}

func (t *tail) later(ctx actor.Context) {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	t.clock.AfterFunc(tailInterval, func() { root.Send(self, lookAtAll{}) })
}

// appended takes what follows what is known, and keeps what does not until the gap is closed.
func (t *tail) appended(ctx actor.Context, written []stretch) {
	for _, w := range written {
		f, ours := t.followed[w.shard]
		switch {
		case !ours:
		case w.span.First.IsZero() && len(w.records) == 0: // there was nothing to write
		case w.span.First.IsZero() || f.after.IsZero() || len(f.ahead) >= maxAhead:
			t.look(ctx, w.shard)
		default:
			f.ahead = append(f.ahead, w)
		}
	}
	gap := false
	for _, w := range written {
		if f, ours := t.followed[w.shard]; ours && len(f.ahead) > 0 {
			t.advance(ctx, w.shard, f)
			gap = gap || len(f.ahead) > 0
		}
	}
	if gap && !t.minding {
		t.minding = true
		self, root := ctx.Self(), ctx.ActorSystem().Root
		t.clock.AfterFunc(gapPatience, func() { root.Send(self, mindGaps{}) })
	}
}

// advance goes over what follows. The registry need not hear at once that nothing is in it that it does not know.
func (t *tail) advance(ctx actor.Context, shard int, f *tailedShard) {
	slices.SortFunc(f.ahead, func(a, b stretch) int { return a.span.First.Compare(b.span.First) })
	var records []journal.Record
	passed := 0
	for _, w := range f.ahead {
		if w.span.Last.Compare(f.after) > 0 {
			if w.span.First.Segment != f.after.Segment || w.span.First.Offset > f.after.Offset+1 {
				break
			}
			for _, r := range w.records {
				if r.Position.Compare(f.after) > 0 {
					records = append(records, r)
				}
			}
			f.after = w.span.Last
		}
		passed++
	}
	f.ahead = slices.Delete(f.ahead, 0, passed)
	if len(records) > 0 {
		t.mail(ctx, f, ShardNews{Shard: shard, Records: records, Through: f.after})
	}
}

// mail passes on how far a shard was followed, and what was found on the way.
func (t *tail) mail(ctx actor.Context, f *tailedShard, n ShardNews) {
	f.mailed = n.Through
	ctx.Send(t.registry, &shardNews{ShardNews: n, generation: f.generation})
}

// mindGaps has the logs asked where a gap was not closed.
func (t *tail) mindGaps(ctx actor.Context) {
	for shard, f := range t.followed {
		if len(f.ahead) > 0 {
			t.look(ctx, shard)
		}
	}
}

// look notes that shards have something new, and looks once what else is in the mailbox has been noted.
func (t *tail) look(ctx actor.Context, shards ...int) {
	for _, shard := range shards {
		if _, ours := t.followed[shard]; ours {
			t.told[shard] = struct{}{}
		}
	}
	if len(t.told) > 0 && !t.looking {
		t.looking = true
		ctx.Send(ctx.Self(), lookNow{})
	}
}

// read looks at the shards that were told of, and again soon where there is more.
func (t *tail) read(ctx actor.Context) {
	var cursors []ShardCursor
	for shard := range t.told {
		if f, ours := t.followed[shard]; ours {
			cursors = append(cursors, ShardCursor{Shard: shard, After: f.after})
		}
	}
	clear(t.told)
	if len(cursors) == 0 {
		return
	}
	news, err := t.log.Tail(cursors, tailed...)
	if err != nil {
		t.metrics.Journal.Errors.With("tail").Inc()
		return // the interval looks again
	}
	for _, n := range news {
		f, ours := t.followed[n.Shard]
		if !ours || n.Through.Compare(f.after) <= 0 && len(n.Records) == 0 {
			continue
		}
		f.after = n.Through
		t.mail(ctx, f, n)
		t.advance(ctx, n.Shard, f)
		if n.More {
			t.look(ctx, n.Shard)
		}
	}
}

// loaders is how many shards are loaded at one time.
const loaders = 4

// reload is the wait before a shard that could not be loaded is tried again.
const reload = time.Second

// loader rebuilds the state of shards that this member takes over. Blocking I/O is its job; there are several.
type loader struct {
	log      ShardLog
	registry *actor.PID
	clock    clock.Clock
	valid    func(shard int, generation int64) bool
}

// What the registry and a loader tell each other.
type (
	loadShard struct {
		shard      int
		generation int64
	}
	shardLoaded struct {
		shard      int
		generation int64
		state      *ShardState
		took       time.Duration
	}
	// shardNotLoaded asks whether to try again. Loader to registry.
	shardNotLoaded struct{ *loadShard }
)

// Receive loads one shard after the other. Where the store did not answer, or the lease is in doubt, the registry has it tried
// again, for as long as the shard is this member's.
func (l *loader) Receive(ctx actor.Context) {
	m, asked := ctx.Message().(*loadShard)
	if !asked {
		return
	}
	if l.valid(m.shard, m.generation) {
		started := l.clock.Now()
		state, err := RecoverShard(l.log, m.shard, m.generation)
		took := l.clock.Now().Sub(started)
		if err == nil {
			ctx.Send(l.registry, &shardLoaded{shard: m.shard, generation: m.generation, state: state, took: took})
			return
		}
		ctx.ActorSystem().EventStream.Publish(ShardLoadFailed{Shard: m.shard, Err: err})
	}
	root := ctx.ActorSystem().Root
	l.clock.AfterFunc(reload, func() { root.Send(l.registry, &shardNotLoaded{m}) })
}

// ShardState is what RecoverShard rebuilt. It is used once.
type ShardState struct {
	tasks   *table
	through journal.Position
	last    int64                // where the last task stands in its lane
	noted   map[task.ID]struct{} // failed tasks that were sent again, which nobody has seen to
}

// RecoverShard rebuilds the state of one shard from its newest snapshot and what follows it in the log. It only applies.
func RecoverShard(log ShardLog, shard int, generation int64) (*ShardState, error) {
	state := &ShardState{tasks: newTable(), noted: make(map[task.ID]struct{})}
	err := state.recover(log, shard, generation)
	if err != nil {
		return nil, fmt.Errorf("shard %d: %w", shard, err)
	}
	return state, nil
}

func (s *ShardState) recover(log ShardLog, shard int, generation int64) (err error) {
	s.through, err = loadSnapshot(log.Storage(shard, generation), s.tasks, func(int, journal.Position) {})
	if err != nil {
		return err
	}
	s.last = s.tasks.lastOrder()
	replay := replayer{tasks: s.tasks, last: &s.last, noted: s.noted}
	for {
		news, err := log.Tail([]ShardCursor{{Shard: shard, After: s.through}})
		if err != nil || len(news) == 0 {
			return err
		}
		for _, r := range news[0].Records {
			if err := replay.record(r); err != nil {
				return misplaced(r.Position, err)
			}
		}
		if s.through = news[0].Through; !news[0].More {
			return nil
		}
	}
}

// ShardLoadFailed is published when the state of a shard could not be rebuilt; it is tried again.
type ShardLoadFailed struct {
	Shard int
	Err   error
}

// Log says how the event is to be logged.
func (e ShardLoadFailed) Log() (slog.Level, string, []slog.Attr) {
	return slog.LevelError, "a shard could not be loaded; it is tried again",
		[]slog.Attr{slog.Int("shard", e.Shard), slog.String("error", e.Err.Error())}
}
