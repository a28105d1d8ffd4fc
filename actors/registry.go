package actors

import (
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/messages/journalv1"
	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/task"
)

// registry is the single writer of task state. It runs no user code, does no I/O and never blocks: it decides, hands
// what it decided to the persister, and gives workers one attempt at a time.
type registry struct {
	config    Config
	clock     clock.Clock
	random    func() float64
	newID     func() task.ID
	metrics   *metrics.Set
	persister *actor.PID

	tasks    *table
	ready    fifo    // tasks that may run now
	due      dueHeap // tasks that wait for a time
	finished fifo    // completed, cancelled and superseded ones, oldest first
	dead     fifo    // dead letters, oldest first
	idle     []*actor.PID
	running  map[string]*runningAttempt // by the worker's ID
	// syncing holds, for deliveries that are being synced, who else waits for that sync.
	syncing map[slot][]*actor.PID

	dueTimer   clock.Timer
	dueAt      int64            // when dueTimer fires; zero when none is set
	covered    journal.Position // every record before it is reflected in tasks
	saving     bool             // a snapshot is being written
	saveAgain  bool             // another was asked for meanwhile
	savers     []*actor.PID     // wait for the snapshot that is being written
	nextSavers []*actor.PID     // wait for the one after it
	draining   bool
	drainers   []*actor.PID
}

// runningAttempt is what a worker is busy with, until it says that it has ended.
type runningAttempt struct {
	worker  *actor.PID
	id      task.ID
	attempt uint32
}

// Receive is the registry's table of contents.
func (r *registry) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *actor.Started:
		r.start(ctx)
	case *messages.AcceptDelivery:
		r.acceptDelivery(ctx, m)
	case *stored:
		r.stored(ctx, m)
	case *workerReady:
		r.workerReady(ctx)
	case *attemptEnded:
		r.attemptEnded(ctx, m)
	case dueReached:
		r.dueReached(ctx)
	case *messages.CancelTask:
		r.cancelTask(ctx, m)
	case *messages.RetryTask:
		r.retryTask(ctx, m)
	case *messages.GetTask:
		r.getTask(ctx, m)
	case *messages.GetCounts:
		r.getCounts(ctx)
	case getView:
		ctx.Respond(r.tasks.view())
	case snapshotDue:
		r.snapshotDue(ctx)
	case snapshotNow:
		r.snapshotNow(ctx)
	case *snapshotSaved:
		r.snapshotSaved(ctx, m)
	case upkeepDue:
		r.upkeepDue(ctx)
	case *drain:
		r.drain(ctx, m)
	}
}

// start takes up what recovery found: interrupted attempts end as such, what waits goes on waiting.
func (r *registry) start(ctx actor.Context) {
	state := State{tasks: r.tasks}
	ready, retrying, running, finished := state.queues()
	for _, s := range finished {
		r.finish(s)
	}
	for _, s := range running {
		r.end(ctx, s, &attemptEnded{
			assignment: &assign{attempt: r.tasks.get(s).Attempts},
			result:     task.Result{Outcome: task.Interrupted}, err: "the daemon stopped during the attempt",
		})
	}
	for _, s := range retrying {
		r.due.push(dueItem{at: r.tasks.get(s).DueAt, item: r.enqueue(s)})
	}
	for _, s := range ready {
		r.ready.push(r.enqueue(s))
	}
	r.armDue(ctx)
	r.after(ctx, r.config.SnapshotInterval, snapshotDue{})
	r.after(ctx, upkeepInterval, upkeepDue{})
	r.gauge()
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
func (r *registry) commit(ctx actor.Context, s slot, c change, answer *messages.DeliveryAccepted, replyTo *actor.PID) bool {
	if err := r.tasks.change(s, c); err != nil {
		return false
	}
	kind, record := c.record()
	ctx.Send(r.persister, &store{kind: kind, record: record, answer: answer, replyTo: replyTo})
	return true
}

// stored takes up the new deliveries of a group: those on stable storage become ready, those refused are forgotten, and
// their delivery IDs are free again.
func (r *registry) stored(ctx actor.Context, m *stored) {
	for _, d := range m.fresh {
		s := d.item.slot
		waiters := r.syncing[s]
		delete(r.syncing, s)
		if d.at.IsZero() {
			r.tasks.remove(s)
			for _, pid := range waiters {
				ctx.Send(pid, m.refusal)
			}
			continue
		}
		r.tasks.edit(s).at = d.at
		e := r.tasks.get(s)
		r.metrics.Tasks.Accepted.With(e.origin.source).Inc()
		for _, pid := range waiters {
			ctx.Send(pid, &messages.DeliveryAccepted{
				WebhookId: e.ID.String(), Status: messages.Status(e.Status), Duplicate: true,
			})
		}
		if e.Status.Final() {
			r.finish(s) // it was cancelled meanwhile
		} else {
			r.ready.push(r.enqueue(s))
		}
	}
	r.covered = m.end
	r.dispatch(ctx)
}

// dispatch gives ready tasks to idle workers until either runs out.
func (r *registry) dispatch(ctx actor.Context) {
	for !r.draining && len(r.idle) > 0 {
		it, ok := r.ready.pop()
		if !ok {
			return
		}
		if !r.current(it, task.Queued, task.Retrying) {
			continue
		}
		worker := r.idle[len(r.idle)-1]
		r.idle = r.idle[:len(r.idle)-1]
		r.assign(ctx, it.slot, worker)
	}
}

// assign starts the next attempt of a task. That it started rides on the next group: an attempt that ran and left no
// trace of its start may run once more after a crash, under the same number.
func (r *registry) assign(ctx actor.Context, s slot, worker *actor.PID) {
	e := r.tasks.get(s)
	ev, err := e.Start(r.now())
	if err != nil {
		r.idle = append(r.idle, worker)
		return
	}
	if e.Attempts == 0 {
		r.metrics.Tasks.QueueSeconds.Observe(float64(ev.At-e.CreatedAt) / float64(time.Second))
	}
	a := &assign{
		id: e.ID, attempt: ev.Attempt, source: e.origin.source, eventType: e.origin.eventType,
		createdAt: e.CreatedAt, at: e.at,
	}
	r.commit(ctx, s, change{id: e.ID, event: ev}, nil, nil)
	r.running[worker.Id] = &runningAttempt{worker: worker, id: a.id, attempt: a.attempt}
	ctx.Send(worker, a)
}

// workerReady makes a worker idle. One that says so while it is thought busy was replaced: its attempt is lost, and ends
// as interrupted.
func (r *registry) workerReady(ctx actor.Context) {
	worker := ctx.Sender()
	if lost, busy := r.running[worker.Id]; busy {
		delete(r.running, worker.Id)
		if s, known := r.tasks.byID[lost.id]; known {
			r.end(ctx, s, &attemptEnded{
				assignment: &assign{attempt: lost.attempt},
				result:     task.Result{Outcome: task.Interrupted}, err: "the worker was replaced during the attempt",
			})
		}
	}
	if !slices.ContainsFunc(r.idle, worker.Equal) {
		r.idle = append(r.idle, worker)
	}
	r.dispatch(ctx)
}

// attemptEnded takes in the end of an attempt, and makes its worker idle whatever became of the task meanwhile.
func (r *registry) attemptEnded(ctx actor.Context, m *attemptEnded) {
	if s, known := r.tasks.byID[m.assignment.id]; known {
		r.end(ctx, s, m)
	}
	if _, busy := r.running[m.worker.Id]; busy {
		delete(r.running, m.worker.Id)
		r.idle = append(r.idle, m.worker)
	}
	r.metrics.Tasks.Attempts.With(m.handler, m.result.Outcome.String()).Inc()
	r.metrics.Tasks.AttemptSeconds.With(m.handler).Observe(m.took.Seconds())
	r.dispatch(ctx)
	r.answerDrainers(ctx)
}

// end decides what follows the end of an attempt. A result that comes too late changes nothing.
func (r *registry) end(ctx actor.Context, s slot, m *attemptEnded) {
	e := r.tasks.get(s)
	ev, err := e.End(m.assignment.attempt, m.result, r.config.policy(), r.now(), r.random())
	if err != nil {
		return
	}
	if !r.commit(ctx, s, change{id: e.ID, event: ev, err: m.err, result: m.output}, nil, nil) {
		return
	}
	r.publishFailure(ctx, s, ev, m)
	if ev.Next == task.Retrying {
		r.due.push(dueItem{at: ev.DueAt, item: r.enqueue(s)})
		r.armDue(ctx)
		return
	}
	r.metrics.Tasks.Finished.With(ev.Next.String()).Inc()
	r.finish(s)
	r.forgetOld(ctx)
}

// finish queues a final task for the day it is forgotten.
func (r *registry) finish(s slot) {
	if r.tasks.get(s).Status == task.Failed {
		r.dead.push(r.enqueue(s))
		return
	}
	r.finished.push(r.enqueue(s))
}

// dueReached makes ready what has become due.
func (r *registry) dueReached(ctx actor.Context) {
	r.dueAt = 0
	now := r.now()
	for len(r.due) > 0 && r.due[0].at <= now {
		it := r.due.pop()
		if r.current(it.item, task.Retrying) {
			r.ready.push(it.item)
		}
	}
	r.armDue(ctx)
	r.dispatch(ctx)
}

// armDue sees to it that one timer is set, for the task that is due first.
func (r *registry) armDue(ctx actor.Context) {
	if len(r.due) == 0 || (r.dueAt != 0 && r.dueAt <= r.due[0].at) {
		return
	}
	if r.dueTimer != nil {
		r.dueTimer.Stop()
	}
	r.dueAt = r.due[0].at
	r.dueTimer = r.after(ctx, time.Duration(r.dueAt-r.now()), dueReached{})
}

// forget drops tasks, here and in the journal.
func (r *registry) forget(ctx actor.Context, slots []slot) {
	if len(slots) == 0 {
		return
	}
	ids := make([]byte, 0, len(slots)*len(task.ID{}))
	for _, s := range slots {
		id := r.tasks.get(s).ID
		ids = append(ids, id[:]...)
		r.tasks.remove(s)
	}
	ctx.Send(r.persister, &store{
		kind:   journalv1.RecordType_RECORD_TYPE_TASKS_FORGOTTEN,
		record: &journalv1.TasksForgotten{TaskIds: ids},
	})
}
