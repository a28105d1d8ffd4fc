package actors

import (
	"fmt"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

// registry is the single writer of task state. It runs no user code, does no I/O and never blocks: it decides, hands
// what it decided to the persister, and gives workers one attempt at a time.
type registry struct {
	*terms    // those that hold now
	clock     clock.Clock
	random    func() float64
	newID     func() task.ID
	metrics   *metrics.Set
	persister *actor.PID

	tasks    *table
	schedule *schedule.Scheduler // of what waits; its handles are slots
	arrivals fifo                // what was accepted and has not run yet, oldest first
	finished fifo                // completed, cancelled and superseded ones, oldest first
	dead     fifo                // dead letters, oldest first
	warm     warm                // what was accepted just now
	idle     []crew
	running  map[string]*runningAttempt // by the worker's ID
	// syncing holds, for deliveries that are being synced, who else waits for that sync.
	syncing map[slot][]*actor.PID
	// deadlines holds, by route, what waits and has a deadline, the first first.
	deadlines map[string]*fifo

	gauged     map[string]struct{} // the labels of the routes that gauges were set of last
	wakeTimer  clock.Timer
	wakeAt     int64            // when wakeTimer fires; schedule.Never when none is set
	covered    journal.Position // every record before it is reflected in tasks
	tail       growth           // what the journal got since the last snapshot was begun
	saving     bool             // a snapshot is being written
	saveAgain  bool             // another was asked for meanwhile
	timerSet   bool             // snapshotDue is on its way
	savers     []*actor.PID     // wait for the snapshot that is being written
	nextSavers []*actor.PID     // wait for the one after it
	draining   bool
	drainers   []*actor.PID

	shards *shards // of a cluster's member; nil for one machine
	ready  func()  // called once, when what recovery found is taken up
	fail   func(error)
}

// runningAttempt is what a worker is busy with, until it says that it has ended.
type runningAttempt struct {
	crew    crew
	id      task.ID
	attempt uint32
	place   uint32
	run     *schedule.Run
}

// Receive is the registry's table of contents.
func (r *registry) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *accept:
		r.accept(ctx, m)
	case *stored:
		r.stored(ctx, m)
	case *workerReady:
		r.workerReady(ctx, m.crew)
	case *attemptEnded:
		r.attemptEnded(ctx, m)
	case wake:
		r.wake(ctx)
	case snapshotDue:
		r.snapshotDue(ctx)
	case snapshotNow:
		r.snapshotNow(ctx)
	case *snapshotSaved:
		r.snapshotSaved(ctx, m)
	case upkeepDue:
		r.upkeepDue(ctx)
	case *terms:
		r.takeOver(ctx, m)
	case *drain:
		r.drain(ctx, m)
	default:
		r.receiveFromOperator(ctx)
		r.receiveShard(ctx)
	}
}

// receiveFromOperator is the table of contents for what people ask and command.
func (r *registry) receiveFromOperator(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *messages.CancelTask:
		r.cancelTask(ctx, m)
	case *messages.RetryTask:
		r.retryTask(ctx, m)
	case *messages.MoveTask:
		r.moveTask(ctx, m)
	case *messages.PauseLane:
		r.pauseLane(ctx, m)
	case *messages.GetTask:
		r.getTask(ctx, m)
	case *messages.GetLanes:
		r.getLanes(ctx, m)
	case *messages.GetCounts:
		r.getCounts(ctx)
	case getView:
		seen := r.tasks.view()
		seen.serving = r.serving()
		ctx.Respond(seen)
	case *getLanesAt:
		r.getLanesAt(ctx, m)
	case getRoutes:
		ctx.Respond(r.schedule.Routes(r.now()))
	}
}

// start takes up what recovery found: what waits goes on waiting, and interrupted attempts end as such. Waiting tasks join
// their lanes before those that were cut off, which come to stand in front of them.
func (r *registry) start(ctx actor.Context) {
	r.wakeAt = schedule.Never
	state := State{tasks: r.tasks}
	for _, s := range state.finishedTasks() {
		r.finish(s)
	}
	for number := range r.tasks.paused {
		r.schedule.Pause(r.lane(number), true)
	}
	waiting, running := state.waitingTasks()
	r.schedule.Grow(int(r.tasks.next))
	r.arrivals.items = slices.Grow(r.arrivals.items, len(waiting))
	for _, s := range waiting {
		r.restore(ctx, s)
	}
	for _, s := range slices.Backward(running) {
		r.end(ctx, s, &attemptEnded{
			assignment: &assign{attempt: r.tasks.get(s).Attempts},
			result:     task.Result{Outcome: task.Interrupted}, err: "the daemon stopped during the attempt",
		})
	}
	r.armWake(ctx)
	r.timeSnapshot(ctx)
	r.after(ctx, upkeepInterval, upkeepDue{})
	r.gauge()
	r.ready()
}

// restore puts a task that waited before the restart back into its lane.
func (r *registry) restore(ctx actor.Context, s slot) {
	r.rejoin(ctx, s)
	r.queued(s)
}

// rejoin puts a task that waits into its lane, from what is known of it.
func (r *registry) rejoin(ctx actor.Context, s slot) {
	e := r.tasks.get(s)
	a := schedule.Arrival{At: e.Since, Due: e.DueAt, Again: e.Requeued()}
	_, a.Burst = r.tasks.detail(s).place()
	r.supersede(ctx, r.schedule.Add(uint32(s), r.lane(e.place), a), e.place, e.ID)
}

// after mails a message to the registry itself once d has passed.
func (r *registry) after(ctx actor.Context, d time.Duration, message any) clock.Timer {
	self, root := ctx.Self(), ctx.ActorSystem().Root
	return r.clock.AfterFunc(d, func() { root.Send(self, message) })
}

func (r *registry) now() int64 { return r.clock.Now().UnixNano() }

// enqueue gives the task a new turn: whatever queue item it had before is stale from now on.
func (r *registry) enqueue(s slot) item {
	e := r.tasks.edit(s)
	e.turn++
	return item{slot: s, turn: e.turn}
}

// current says whether a queue item still stands for a task with that status.
func (r *registry) current(it item, allowed ...task.Status) bool {
	e := r.tasks.get(it.slot)
	if !e.used || e.turn != it.turn {
		return false
	}
	for _, status := range allowed {
		if e.Status == status {
			return true
		}
	}
	return false
}

// commit applies a change and hands its record to the persister, to ride on the next group. When somebody waits for it,
// answer goes to replyTo AFTER the sync.
func (r *registry) commit(ctx actor.Context, s slot, c change, answer any, replyTo *actor.PID) bool {
	if err := r.tasks.change(s, c); err != nil {
		return false
	}
	kind, record := c.record()
	r.write(ctx, ShardOfTask(c.id), &store{kind: kind, record: record, answer: answer, replyTo: replyTo})
	r.publishChange(ctx, s)
	return true
}

// stored takes up the new deliveries of a group: those on stable storage join their lanes, those refused are forgotten, and
// their delivery IDs are free again.
func (r *registry) stored(ctx actor.Context, m *stored) {
	for _, d := range m.fresh {
		s := d.item.slot
		waiters := r.syncing[s]
		delete(r.syncing, s)
		if d.at.IsZero() {
			r.tasks.removeDelivery(s)
			for _, pid := range waiters {
				ctx.Send(pid, m.refusal)
			}
			continue
		}
		r.publishChange(ctx, s)
		r.begin(ctx, s, d.at)
		e := r.tasks.get(s)
		r.metrics.Tasks.Accepted.With(r.tasks.origins.get(e.origin).source).Inc()
		for _, pid := range waiters {
			ctx.Send(pid, &messages.DeliveryAccepted{
				WebhookId: e.ID.String(), Status: messages.Status(e.Status), Duplicate: true,
			})
		}
	}
	r.covered = m.end
	r.tail.add(m.growth)
	r.dispatch(ctx)
}

// begin lets the tasks of a delivery that is on stable storage begin their lives, except those cancelled meanwhile.
func (r *registry) begin(ctx actor.Context, s slot, at journal.Position) {
	r.tasks.edit(s).at = at
	for _, t := range r.tasks.runnable(s) {
		r.tasks.edit(t).at = at
		if !r.tasks.get(t).Status.Final() {
			r.arrive(ctx, t, false)
		}
	}
	if r.tasks.get(s).Status.Final() {
		r.finish(s)
	}
}

// arrive puts a task into its lane, where it may take the place of others.
func (r *registry) arrive(ctx actor.Context, s slot, again bool) {
	e := r.tasks.get(s)
	effect := r.schedule.Add(uint32(s), r.lane(e.place), schedule.Arrival{At: e.Since, Again: again})
	r.queued(s)
	r.supersede(ctx, effect, e.place, e.ID)
}

// queued notes that a task has begun to wait.
func (r *registry) queued(s slot) {
	it := r.enqueue(s)
	r.arrivals.push(it)
	r.watchDeadline(s, it)
}

// lane is a place as the scheduler knows it.
func (r *registry) lane(number uint32) schedule.Lane {
	p := r.tasks.places.get(number)
	return schedule.Lane{ID: number, Route: p.route, Ordered: p.key != ""}
}

// supersede ends the tasks whose place a newer one of their lane takes.
func (r *registry) supersede(ctx actor.Context, effect schedule.Effect, lane uint32, by task.ID) {
	for _, h := range effect.Superseded {
		r.giveWay(ctx, slot(h), by, effect.Burst)
	}
	if !effect.Preempt {
		return
	}
	for _, a := range r.running {
		if s, known := r.tasks.find(a.id); known && a.place == lane && a.id != by && r.giveWay(ctx, s, by, 0) {
			ctx.Send(a.crew.attempt, &stopAttempt{id: a.id, attempt: a.attempt, outcome: task.Stopped})
		}
	}
}

// giveWay ends a task as superseded, if it is not final.
func (r *registry) giveWay(ctx actor.Context, s slot, by task.ID, burst int64) bool {
	e := r.tasks.get(s)
	ev, err := e.Supersede(r.now())
	if err != nil || !r.commit(ctx, s, change{id: e.ID, event: ev, by: by, burst: burst}, nil, nil) {
		return false
	}
	r.conclude(ctx, s)
	return true
}

// dispatch gives ready tasks to idle workers until either runs out, and sees to it that it is woken when more may run.
func (r *registry) dispatch(ctx actor.Context) {
	if r.draining {
		return
	}
	r.schedule.Wake(r.now())
	for len(r.idle) > 0 {
		h, run, ok := r.schedule.Next(r.now())
		if !ok {
			break
		}
		s := slot(h)
		if !r.owns(r.tasks.get(s).ID) {
			r.putBack(ctx, s, run)
			break
		}
		if r.expire(ctx, s) || !r.assign(ctx, s, run) {
			r.schedule.Ended(run, schedule.Neutral)
		}
	}
	r.armWake(ctx)
}

// ownAgain is the wait before a task is looked at again whose shard this member could not act for.
const ownAgain = 100 * time.Millisecond

// putBack puts a task back into its lane, in front, for the lease of its shard may be renewed yet; where it is lost, the registry
// is told to drop the shard.
func (r *registry) putBack(ctx actor.Context, s slot, run *schedule.Run) {
	e := r.tasks.get(s)
	if by, ok := r.schedule.Retry(uint32(s), r.lane(e.place), r.now()+int64(ownAgain)); !ok {
		r.giveWay(ctx, s, r.tasks.get(slot(by)).ID, 0)
	}
	r.schedule.Ended(run, schedule.Neutral)
}

// assign starts the next attempt of a task. That it started rides on the next group: an attempt that ran and left no
// trace of its start may run once more after a crash, under the same number.
func (r *registry) assign(ctx actor.Context, s slot, run *schedule.Run) bool {
	e := r.tasks.get(s)
	ev, err := e.Start(r.now())
	if err != nil {
		return false
	}
	if e.Attempts == 0 {
		r.metrics.Tasks.QueueSeconds.Observe(float64(ev.At-e.CreatedAt) / float64(time.Second))
	}
	from, lane := r.tasks.origins.get(e.origin), r.tasks.places.get(e.place)
	a := &assign{
		id: e.ID, attempt: ev.Attempt, source: from.source, eventType: from.eventType, route: lane.route, key: lane.key,
		createdAt: e.CreatedAt, waitingSince: e.UpdatedAt, deadline: r.routes.deadline(lane.route, e.Since), at: e.at, terms: r.terms,
	}
	if r.shards != nil {
		a.generation = r.generation(ShardOfTask(e.ID))
	}
	if !r.commit(ctx, s, change{id: e.ID, event: ev}, nil, nil) {
		return false
	}
	number := r.tasks.places.acquire(lane) // for as long as the attempt takes, whatever becomes of the task
	taker := r.idle[len(r.idle)-1]
	r.idle = r.idle[:len(r.idle)-1]
	r.running[taker.worker.Id] = &runningAttempt{crew: taker, id: a.id, attempt: a.attempt, place: number, run: run}
	a.delivery = r.warm.take(a.id)
	ctx.Send(taker.attempt, a)
	return true
}

// expire ends a task whose deadline passed before this attempt could start.
func (r *registry) expire(ctx actor.Context, s slot) bool {
	e := r.tasks.get(s)
	now := r.now()
	deadline := r.routes.deadline(r.tasks.places.get(e.place).route, e.Since)
	if deadline == 0 || now < deadline {
		return false
	}
	ev, err := e.Expire(now)
	if err != nil {
		return false
	}
	waited := time.Duration(now - e.Since).Round(time.Second)
	text := fmt.Sprintf("the deadline passed before an attempt could start: it waited %v", waited)
	r.commit(ctx, s, change{id: e.ID, event: ev, err: text}, nil, nil)
	r.conclude(ctx, s)
	return true
}

// workerReady makes a worker idle. One that says so while it is thought busy was replaced: its attempt is lost, and ends
// as interrupted.
func (r *registry) workerReady(ctx actor.Context, ready crew) {
	if lost, busy := r.running[ready.worker.Id]; busy {
		if s, known := r.tasks.find(lost.id); known {
			r.end(ctx, s, &attemptEnded{
				assignment: &assign{attempt: lost.attempt},
				result:     task.Result{Outcome: task.Interrupted}, err: "the worker was replaced during the attempt",
			})
		}
		r.release(lost, schedule.Neutral)
	}
	r.idle = slices.DeleteFunc(r.idle, func(c crew) bool { return c.worker.Equal(ready.worker) })
	r.idle = append(r.idle, ready)
	r.dispatch(ctx)
}

// attemptEnded takes in the end of an attempt, and makes its worker idle whatever became of the task meanwhile.
func (r *registry) attemptEnded(ctx actor.Context, m *attemptEnded) {
	if s, known := r.tasks.find(m.assignment.id); known {
		r.end(ctx, s, m)
	}
	if a, busy := r.running[m.crew.worker.Id]; busy && a.id == m.assignment.id && a.attempt == m.assignment.attempt {
		r.release(a, verdict(m.result.Outcome))
		r.idle = append(r.idle, m.crew)
	}
	r.metrics.Tasks.Attempts.With(m.handler, m.result.Outcome.String()).Inc()
	r.metrics.Tasks.AttemptSeconds.With(m.handler).Observe(m.took.Seconds())
	r.leaveIdle(ctx)
	r.dispatch(ctx)
	r.answerDrainers(ctx)
}

// release gives back what an attempt held.
func (r *registry) release(a *runningAttempt, v schedule.Verdict) {
	delete(r.running, a.crew.worker.Id)
	r.schedule.Ended(a.run, v)
	r.tasks.places.release(a.place)
}

// verdict is what an outcome says about the health of the destination.
func verdict(o task.Outcome) schedule.Verdict {
	switch o {
	case task.Succeeded, task.Discarded:
		return schedule.Healthy
	case task.Retry, task.TimedOut, task.Abandoned:
		return schedule.Unhealthy
	default:
		return schedule.Neutral
	}
}

// end decides what follows the end of an attempt. A result that comes too late changes nothing.
func (r *registry) end(ctx actor.Context, s slot, m *attemptEnded) {
	e := r.tasks.get(s)
	policy := r.routes.policy(&r.config, r.tasks.places.get(e.place).route)
	ev, err := e.End(m.assignment.attempt, m.result, policy, r.now(), r.random())
	if err != nil {
		return
	}
	if m.result.Outcome == task.Panicked && ev.Next == task.Failed && e.Spent < e.MaxAttempts {
		m.err = fmt.Sprintf("quarantined after %d crashes in a row: %s", int(e.Crashes)+1, m.err)
	}
	if !r.commit(ctx, s, change{id: e.ID, event: ev, err: m.err, result: m.output}, nil, nil) {
		return
	}
	r.publishFailure(ctx, s, ev, m)
	if ev.Next != task.Retrying {
		r.conclude(ctx, s)
		return
	}
	e = r.tasks.get(s)
	if by, ok := r.schedule.Retry(uint32(s), r.lane(e.place), ev.DueAt); !ok {
		r.giveWay(ctx, s, r.tasks.get(slot(by)).ID, 0)
		return
	}
	r.armWake(ctx)
}

// conclude takes note that a task has become final: its delivery has too, unless other parts of it are not.
func (r *registry) conclude(ctx actor.Context, s slot) {
	e := r.tasks.get(s)
	r.metrics.Tasks.Finished.With(e.Status.String()).Inc()
	if e.role == part {
		s = e.parent
		if !r.tasks.get(s).Status.Final() {
			return
		}
	}
	if _, unsynced := r.syncing[s]; unsynced {
		return // begin takes note of it
	}
	r.finish(s)
	r.forgetOld(ctx)
}

// finish queues the final task of a delivery for the day it is forgotten.
func (r *registry) finish(s slot) {
	if r.tasks.get(s).Status == task.Failed {
		r.dead.push(r.enqueue(s))
		return
	}
	r.finished.push(r.enqueue(s))
}

// wake goes on where something waited for a time.
func (r *registry) wake(ctx actor.Context) {
	r.wakeAt = schedule.Never
	r.dispatch(ctx)
}

// armWake sees to it that one timer is set, for the first time that something waits for.
func (r *registry) armWake(ctx actor.Context) {
	now := r.now()
	at := r.schedule.NextWake(now)
	if r.draining || at >= r.wakeAt {
		return
	}
	if r.wakeTimer != nil {
		r.wakeTimer.Stop()
	}
	r.wakeAt = at
	r.wakeTimer = r.after(ctx, time.Duration(at-now), wake{})
}

// forget drops tasks with their parts, here and in the journal.
func (r *registry) forget(ctx actor.Context, slots []slot) {
	ids := make(map[int][]byte) // by shard; one machine has one
	for _, s := range slots {
		number := 0
		if r.shards != nil {
			number = ShardOfTask(r.tasks.get(s).ID)
		}
		for _, p := range slices.Concat(r.tasks.parts[s], []slot{s}) {
			id := r.tasks.get(p).ID
			ids[number] = append(ids[number], id[:]...)
		}
		r.tasks.removeDelivery(s)
	}
	for number, forgotten := range ids {
		r.write(ctx, number, &store{
			kind:   journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN,
			record: &journalv1.TasksForgotten{TaskIds: forgotten},
		})
	}
}
