package actors

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/task"
)

// shards is what the registry of a cluster's member knows of the shards it owns. All of them lie in its one table, for the
// limits of routes and handlers, and the workers, are the process's.
type shards struct {
	*Membership
	tail, intake *actor.PID
	loaders      []*actor.PID
	owned        map[int]*ownedShard
}

// ownedShard is one of them.
//
// loading: its state is being read. Left by shardLoaded.
// serving: its tasks are in the table. Left by leaveShard.
// leaving: only those of its tasks are in the table that have a running attempt; when the last has ended, or at once where
// the lease is lost, the shard is forgotten.
type ownedShard struct {
	generation int64
	phase      shardPhase
	through    journal.Position // the log is in the table up to here
	last       int64            // where the last task stands in its lane
	dirty      bool             // something changed since the last snapshot
	drained    []func()         // to be called when nothing of it is left here
}

type shardPhase uint8

const (
	loading shardPhase = iota
	serving
	leaving
)

// What the Troupe tells the registry of a member.
type (
	takeShard struct {
		shard      int
		generation int64
	}
	// leaveShard ends the work for a shard: running attempts may end where the leave is graceful, and are told to stop where
	// it is not. drained is called from an actor's goroutine when the member does nothing for the shard any more.
	leaveShard struct {
		shard      int
		generation int64
		graceful   bool
		drained    func()
	}
	// redelivered asks what becomes of a delivery that the store knows; the answer is DeliveryAccepted, DeliveryRefused or
	// TaskRefused.
	redelivered struct{ id task.ID }
)

// receiveShard is the table of contents for what only a cluster's members hear.
func (r *registry) receiveShard(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *takeShard:
		r.takeShard(ctx, m)
	case *shardLoaded:
		r.shardLoaded(ctx, m)
	case *shardNotLoaded:
		if s, current := r.currentShard(m.shard, m.generation); current && s.phase == loading {
			r.load(ctx, m.loadShard)
		}
	case *shardNews:
		r.shardNews(ctx, m)
	case *leaveShard:
		r.leaveShard(ctx, m)
	case *redelivered:
		r.redelivered(ctx, m)
	case *warmed:
		for _, d := range m.deliveries {
			r.warm.put(d.shard.Task, d.delivery)
		}
	}
}

// owns says whether this member may act for the task at this moment.
func (r *registry) owns(id task.ID) bool {
	return r.shards == nil || r.ownsShard(ShardOfTask(id))
}

// ownsShard says so of a shard.
func (r *registry) ownsShard(number int) bool {
	s, owned := r.shards.owned[number]
	return owned && s.phase == serving && r.shards.Valid(number, s.generation)
}

// generation is that under which changes of a shard are written.
func (r *registry) generation(number int) int64 {
	if s, owned := r.shards.owned[number]; owned {
		s.dirty = true
		return s.generation
	}
	return 0
}

// write hands a record of a task, or of a lane, to the persister.
func (r *registry) write(ctx actor.Context, number int, m *store) {
	if r.shards != nil {
		m.shard, m.generation = number, r.generation(number)
	}
	ctx.Send(r.persister, m)
}

// confirm answers a command that changed a task. In a cluster it is answered when the change is in the store: a member that
// has lost its lease without knowing must not say that something was done.
func (r *registry) confirm(ctx actor.Context, id task.ID, answer any) {
	if r.shards == nil {
		ctx.Respond(answer)
		return
	}
	r.write(ctx, ShardOfTask(id), &store{answer: answer, replyTo: ctx.Sender()})
}

// away is the answer where nobody can say at the moment.
var away = &messages.TaskRefused{Away: true, Detail: "the task's owner is changing: try again"}

func (r *registry) takeShard(ctx actor.Context, m *takeShard) {
	if s, owned := r.shards.owned[m.shard]; owned {
		if s.generation >= m.generation {
			return
		}
		r.abandon(ctx, m.shard, s)
	}
	r.shards.owned[m.shard] = &ownedShard{generation: m.generation}
	ctx.Send(r.persister, &openShard{shard: m.shard, generation: m.generation})
	r.load(ctx, &loadShard{shard: m.shard, generation: m.generation})
}

func (r *registry) load(ctx actor.Context, m *loadShard) {
	ctx.Send(r.shards.loaders[m.shard%len(r.shards.loaders)], m)
}

// currentShard returns a shard if it is owned under that generation.
func (r *registry) currentShard(number int, generation int64) (*ownedShard, bool) {
	s, owned := r.shards.owned[number]
	return s, owned && s.generation == generation
}

// shardLoaded takes over the tasks of a shard, as start does with those of a journal.
func (r *registry) shardLoaded(ctx actor.Context, m *shardLoaded) {
	s, current := r.currentShard(m.shard, m.generation)
	if !current || s.phase != loading {
		return
	}
	s.phase, s.through, s.last, s.dirty = serving, m.state.through, m.state.last, true
	waiting := m.state.tasks.waiting()
	r.absorb(ctx, m.state)
	ctx.Send(r.shards.tail, &follow{shard: m.shard, generation: m.generation, after: s.through})
	ctx.ActorSystem().EventStream.Publish(ShardTaken{
		Shard: m.shard, Generation: m.generation, Tasks: m.state.tasks.size(), Waiting: waiting, Took: m.took,
	})
	r.gauge()
	r.dispatch(ctx)
}

// absorb moves the tasks of a shard into the table, and into their lanes.
func (r *registry) absorb(ctx actor.Context, state *ShardState) {
	found := State{tasks: state.tasks}
	moved := r.tasks.absorb(state.tasks)
	for number := range state.tasks.paused {
		lane := state.tasks.places.get(number)
		r.tasks.pause(lane, true)
		if here, known := r.tasks.places.find(lane); known {
			r.schedule.Pause(r.lane(here), true)
		}
	}
	for _, s := range found.finishedTasks() {
		r.finish(moved[s])
	}
	waiting, running := found.waitingTasks()
	for _, s := range waiting {
		r.restore(ctx, moved[s])
	}
	for _, s := range slices.Backward(running) {
		r.end(ctx, moved[s], &attemptEnded{
			assignment: &assign{attempt: r.tasks.get(moved[s]).Attempts},
			result:     task.Result{Outcome: task.Interrupted}, err: "the member of the cluster that ran the attempt is gone",
		})
	}
	for id := range state.noted {
		if s, known := r.tasks.find(id); known {
			r.runAgain(ctx, s)
		}
	}
}

// runAgain makes a failed task run again that its sender sent again.
func (r *registry) runAgain(ctx actor.Context, s slot) {
	if e := r.tasks.get(s); e.Status == task.Failed && r.requeue(ctx, s, nil, nil) == nil {
		r.metrics.Tasks.Redelivered.With(r.tasks.origins.get(e.origin).source).Inc()
	}
}

// shardNews takes in what others have appended to the log of a shard.
func (r *registry) shardNews(ctx actor.Context, m *shardNews) {
	s, current := r.currentShard(m.Shard, m.generation)
	if !current || s.phase != serving {
		return
	}
	replay := replayer{tasks: r.tasks, last: &s.last}
	for _, record := range m.Records {
		if err := r.adopt(ctx, &replay, record); err != nil {
			r.fail(fmt.Errorf("shard %d: %w", m.Shard, misplaced(record.Position, err)))
			return
		}
		s.dirty = true
	}
	s.through = m.Through
	r.dispatch(ctx)
}

func (r *registry) adopt(ctx actor.Context, replay *replayer, record journal.Record) error {
	if journalv1.RecordType(record.Type) == journalv1.RecordType_RECORD_TYPE_TASK_REDELIVERED {
		var note change
		if err := replay.decoder.change(journalv1.RecordType(record.Type), record.Data, &note); err != nil {
			return err
		}
		if s, known := r.tasks.find(note.id); known {
			r.runAgain(ctx, s)
		}
		return nil
	}
	known := r.tasks.size()
	if err := replay.record(record); err != nil || r.tasks.size() == known {
		return err
	}
	s, _ := r.tasks.find(replay.decoded.accepted.id)
	r.publishChange(ctx, s)
	r.begin(ctx, s, record.Position)
	return nil
}

// redelivered answers for a duplicate in a shard of ours, as acceptAgain does.
func (r *registry) redelivered(ctx actor.Context, m *redelivered) {
	s, known := r.tasks.find(m.id)
	switch {
	case !r.owns(m.id):
		ctx.Respond(away)
	case !known: // it is in the log, but not in the table yet; or it was forgotten
		ctx.Respond(&messages.DeliveryAccepted{WebhookId: m.id.String(), Status: messages.Status_STATUS_QUEUED, Duplicate: true})
	default:
		r.acceptAgain(ctx, s)
	}
}

// leaveShard ends the work for a shard.
func (r *registry) leaveShard(ctx actor.Context, m *leaveShard) {
	s, current := r.currentShard(m.shard, m.generation)
	if !current {
		m.drained()
		return
	}
	s.drained = append(s.drained, m.drained)
	if !m.graceful || s.phase == loading {
		r.abandon(ctx, m.shard, s)
		return
	}
	if s.phase == serving {
		s.phase = leaving
		ctx.Send(r.shards.tail, &unfollow{shard: m.shard, generation: s.generation})
		r.dropTasks(m.shard, true)
	}
	r.leaveWhenIdle(ctx, m.shard, s)
	r.gauge()
}

// abandon ends the work for a shard at once: attempts that run are told to stop, and what they return is not used. What was
// decided and not written never happened.
func (r *registry) abandon(ctx actor.Context, number int, s *ownedShard) {
	r.stopRunning(ctx, task.Interrupted, func(a *runningAttempt) bool { return ShardOfTask(a.id) == number })
	ctx.Send(r.shards.tail, &unfollow{shard: number, generation: s.generation})
	r.dropTasks(number, false)
	delete(r.shards.owned, number)
	ctx.Send(r.persister, &closeShard{shard: number, generation: s.generation, drop: true, done: s.drained})
	r.gauge()
}

// leaveWhenIdle gives the shard away when none of its attempts runs, once all that was decided is written.
func (r *registry) leaveWhenIdle(ctx actor.Context, number int, s *ownedShard) {
	for _, a := range r.running {
		if ShardOfTask(a.id) == number {
			return
		}
	}
	r.dropTasks(number, false)
	delete(r.shards.owned, number)
	ctx.Send(r.persister, &closeShard{shard: number, generation: s.generation, done: s.drained})
}

// leaveIdle does so for all shards that are being left.
func (r *registry) leaveIdle(ctx actor.Context) {
	if r.shards == nil {
		return
	}
	for number, s := range r.shards.owned {
		if s.phase == leaving {
			r.leaveWhenIdle(ctx, number, s)
		}
	}
}

// dropTasks forgets the tasks of a shard, here only: the log has them. Those of deliveries that have a running attempt may
// be kept.
func (r *registry) dropTasks(number int, keepRunning bool) {
	kept := make(map[slot]struct{})
	if keepRunning {
		for _, a := range r.running {
			if s, known := r.tasks.find(a.id); known {
				if r.tasks.get(s).role == part {
					s = r.tasks.get(s).parent
				}
				kept[s] = struct{}{}
			}
		}
	}
	var dropped []slot
	for s := slot(0); s < r.tasks.next; s++ {
		e := r.tasks.get(s)
		if !e.used || ShardOfTask(e.ID) != number {
			continue
		}
		r.schedule.Remove(uint32(s))
		if _, running := kept[s]; !running && e.role != part {
			dropped = append(dropped, s)
		}
	}
	for _, s := range dropped {
		r.tasks.removeDelivery(s)
	}
	for place := range r.tasks.paused {
		if p := r.tasks.places.get(place); ShardOf(p.key, r.shards.Shards) == number {
			r.schedule.Pause(r.lane(place), false)
			r.tasks.pause(p, false)
		}
	}
}

// saveShards starts snapshots of the shards that changed.
func (r *registry) saveShards(ctx actor.Context) {
	m := &saveShards{tasks: r.tasks.view()}
	for number, s := range r.shards.owned {
		if s.phase == serving && s.dirty {
			s.dirty = false
			m.shards = append(m.shards, savedShard{shard: number, generation: s.generation, through: s.through})
		}
	}
	ctx.Send(r.persister, m)
}

// serving are the shards whose tasks are in the table, in order.
func (r *registry) serving() (numbers []int) {
	if r.shards == nil {
		return nil
	}
	for number := range r.shards.owned {
		if r.ownsShard(number) {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// gaugeShards publishes what a scrape should see of the shards, and tells the intake how much waits.
func (r *registry) gaugeShards(ctx actor.Context) {
	if r.shards != nil {
		ctx.Send(r.shards.intake, &intakeLoad{waiting: r.tasks.waiting()})
	}
}

// ShardTaken is published when this member begins to work the tasks of a shard.
type ShardTaken struct {
	Shard      int
	Generation int64
	// Tasks is how many the shard holds, Waiting how many of them are not final, Took how long it took to load them.
	Tasks, Waiting int
	Took           time.Duration
}

// Log says how the event is to be logged.
func (e ShardTaken) Log() (slog.Level, string, []slog.Attr) {
	return slog.LevelInfo, "shard taken", []slog.Attr{
		slog.Int("shard", e.Shard), slog.Int64("generation", e.Generation), slog.Int("tasks", e.Tasks),
		slog.Int("waiting", e.Waiting), slog.Int64("duration_ms", e.Took.Milliseconds()),
	}
}

// shardOfKey is the shard that the lanes of a key are in.
func (r *registry) shardOfKey(key string) int {
	if r.shards == nil {
		return 0
	}
	return ShardOf(key, r.shards.Shards)
}
