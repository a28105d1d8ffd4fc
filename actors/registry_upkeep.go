package actors

import (
	"errors"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/task"
)

// maxForgotten bounds how many tasks one pass forgets, so that no pass holds up the mailbox.
const maxForgotten = 1000

// upkeepInterval is how often age alone is a reason to forget, and how fresh the gauges are.
const upkeepInterval = time.Second

// cancelTask ends a task that is not final; of a split one, every part. A running attempt is told to stop, and what it
// returns is not used.
func (r *registry) cancelTask(ctx actor.Context, m *messages.CancelTask) {
	s, ok := r.lookup(ctx, m.GetWebhookId())
	if !ok {
		return
	}
	cancelled := false
	for _, t := range r.tasks.runnable(s) {
		cancelled = r.cancel(ctx, t, m.GetReason()) || cancelled
	}
	if !cancelled {
		status := r.tasks.get(s).Status.String()
		ctx.Respond(&messages.TaskRefused{Detail: "a task that is " + status + " cannot be cancelled"})
		return
	}
	r.confirm(ctx, r.tasks.get(s).ID, &messages.TaskChanged{Task: r.tasks.message(s)})
	r.dispatch(ctx)
}

func (r *registry) cancel(ctx actor.Context, s slot, reason string) bool {
	e := r.tasks.get(s)
	id := e.ID
	ev, err := e.Cancel(r.now())
	if err != nil || !r.commit(ctx, s, change{id: id, event: ev, err: reason}, nil, nil) {
		return false
	}
	r.schedule.Remove(uint32(s))
	r.conclude(ctx, s)
	r.stopRunning(ctx, task.Stopped, func(a *runningAttempt) bool { return a.id == id })
	return true
}

// retryTask runs a final task again, or a retrying one now.
func (r *registry) retryTask(ctx actor.Context, m *messages.RetryTask) {
	s, ok := r.lookup(ctx, m.GetWebhookId())
	if !ok {
		return
	}
	if err := r.requeue(ctx, s, nil, nil); err != nil {
		detail := "a task that is " + r.tasks.get(s).Status.String() + " cannot be retried"
		if errors.Is(err, errWindsDown) {
			detail = err.Error()
		}
		ctx.Respond(&messages.TaskRefused{Detail: detail})
		return
	}
	r.confirm(ctx, r.tasks.get(s).ID, &messages.TaskChanged{Task: r.tasks.message(s)})
}

// lookup finds a task by the text of its ID, and answers for it when there is none.
func (r *registry) lookup(ctx actor.Context, text string) (slot, bool) {
	id, err := task.ParseID(text)
	if err == nil && !r.owns(id) {
		ctx.Respond(away)
		return 0, false
	}
	if err == nil {
		if s, known := r.tasks.find(id); known {
			return s, true
		}
	}
	ctx.Respond(&messages.TaskRefused{NotFound: true, Detail: "no such task"})
	return 0, false
}

// stopRunning tells the attempts that match to stop.
func (r *registry) stopRunning(ctx actor.Context, outcome task.Outcome, match func(*runningAttempt) bool) {
	for _, a := range r.running {
		if match(a) {
			ctx.Send(a.crew.attempt, &stopAttempt{id: a.id, attempt: a.attempt, outcome: outcome})
		}
	}
}

func (r *registry) getTask(ctx actor.Context, m *messages.GetTask) {
	reply := &foundTask{}
	if id, err := task.ParseID(m.GetWebhookId()); err == nil {
		reply.away = !r.owns(id)
		if s, known := r.tasks.find(id); known {
			reply.task, reply.at = r.tasks.message(s), r.tasks.get(s).at
		}
	}
	ctx.Respond(reply)
}

func (r *registry) getCounts(ctx actor.Context) {
	counts := r.tasks.counts
	ctx.Respond(&messages.GetCountsReply{
		Queued:          uint64(counts[task.Queued]),
		Processing:      uint64(counts[task.Processing]),
		Retrying:        uint64(counts[task.Retrying]),
		Completed:       uint64(counts[task.Completed]),
		Failed:          uint64(counts[task.Failed]),
		Cancelled:       uint64(counts[task.Cancelled]),
		Superseded:      uint64(counts[task.Superseded]),
		OldestWaitingAt: r.oldestWaiting(),
	})
}

// oldestWaiting is when the oldest task was accepted that waits or runs. Those that were made to run again count from then
// on.
func (r *registry) oldestWaiting() int64 {
	for {
		it, ok := r.arrivals.peek()
		if !ok {
			return 0
		}
		if r.current(it, task.Queued, task.Retrying, task.Processing) {
			return r.tasks.get(it.slot).CreatedAt
		}
		r.arrivals.pop()
	}
}

// growth is how much a journal got: changes of tasks, new ones among them, and the bytes of their records.
type growth struct{ changes, bytes int }

func (g *growth) add(more growth) { g.changes, g.bytes = g.changes+more.changes, g.bytes+more.bytes }

// snapshotDue starts a snapshot on the timer, or sees to one, with the task file, when the one that is being written is done.
func (r *registry) snapshotDue(ctx actor.Context) {
	r.timerSet = false
	if r.saving {
		r.saveAgain = true
		return
	}
	r.save(ctx, true)
}

// timeSnapshot sets the timer, unless it is set.
func (r *registry) timeSnapshot(ctx actor.Context) {
	if !r.timerSet {
		r.timerSet = true
		r.after(ctx, r.config.SnapshotInterval, snapshotDue{})
	}
}

// boundTail starts a snapshot when so much is behind the last that a start would take long. A snapshot of many tasks is large
// itself, so more may follow it. The task file keeps to its timer. Where the snapshot fails, as much again has to follow before
// the next is tried.
func (r *registry) boundTail(ctx actor.Context) {
	tasks := r.tasks.size()
	isLong := r.tail.changes > max(r.config.MaxTailChanges, tasks/2) || r.tail.bytes > max(r.config.MaxTailBytes, 256*tasks)
	if isLong && !r.saving {
		r.save(ctx, false)
	}
}

// snapshotNow starts a snapshot for somebody who waits for it: a new one, for the one being written may be too old.
func (r *registry) snapshotNow(ctx actor.Context) {
	if r.saving {
		r.saveAgain = true
		r.nextSavers = append(r.nextSavers, ctx.Sender())
		return
	}
	r.savers = append(r.savers, ctx.Sender())
	r.save(ctx, true)
}

func (r *registry) save(ctx actor.Context, export bool) {
	r.saving, r.tail = true, growth{}
	if r.shards != nil {
		r.saveShards(ctx)
		return
	}
	ctx.Send(r.persister, &saveSnapshot{tasks: r.tasks.view(), covered: r.covered, export: export})
}

func (r *registry) snapshotSaved(ctx actor.Context, m *snapshotSaved) {
	for _, pid := range r.savers {
		ctx.Send(pid, m)
	}
	r.savers, r.nextSavers = r.nextSavers, nil
	r.saving = false
	if r.saveAgain {
		r.saveAgain = false
		r.save(ctx, true)
		return
	}
	r.timeSnapshot(ctx)
}

// upkeepDue ends what is overdue, forgets what is old and publishes the gauges, once a second.
func (r *registry) upkeepDue(ctx actor.Context) {
	r.expireOverdue(ctx)
	r.forgetOld(ctx)
	r.boundTail(ctx)
	r.arrivals.tidy(func(it item) bool { return r.current(it, task.Queued, task.Retrying, task.Processing) })
	r.gauge()
	r.gaugeShards(ctx)
	r.after(ctx, upkeepInterval, upkeepDue{})
}

// forgetOld forgets finished tasks that are too many or too old, and dead letters that are too old.
func (r *registry) forgetOld(ctx actor.Context) {
	before := r.now() - int64(r.config.CleanupAge)
	var slots []slot
	excess := r.tasks.counts[task.Completed] + r.tasks.counts[task.Cancelled] + r.tasks.counts[task.Superseded] -
		r.config.MaxFinished
	slots = r.collectOld(&r.finished, slots, before, excess)
	slots = r.collectOld(&r.dead, slots, before, 0)
	r.forget(ctx, slots)
}

// collectOld pops finished tasks from the front of a queue: at least excess of them, and all that are too old.
func (r *registry) collectOld(q *fifo, slots []slot, before int64, excess int) []slot {
	for len(slots) < maxForgotten {
		it, ok := q.peek()
		if !ok {
			break
		}
		if r.current(it, task.Completed, task.Failed, task.Cancelled, task.Superseded) {
			if excess <= 0 && r.tasks.get(it.slot).UpdatedAt > before {
				break
			}
			slots = append(slots, it.slot)
			excess--
		}
		q.pop()
	}
	return slots
}

// drain stops assigning and answers when nothing runs.
func (r *registry) drain(ctx actor.Context, m *drain) {
	r.draining = true
	r.drainers = append(r.drainers, ctx.Sender())
	if m.stopRunning {
		r.stopRunning(ctx, task.Interrupted, func(*runningAttempt) bool { return true })
	}
	r.answerDrainers(ctx)
}

func (r *registry) answerDrainers(ctx actor.Context) {
	if !r.draining || len(r.running) > 0 {
		return
	}
	for _, pid := range r.drainers {
		ctx.Send(pid, drained{})
	}
	r.drainers = nil
}
