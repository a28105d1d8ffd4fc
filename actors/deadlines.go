package actors

import (
	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/task"
)

// watchDeadline notes that a task of a route with a deadline begins to wait: it is to fail in time also where its turn does
// not come, because its lane is paused or held, or a breaker is open. All tasks of a route have the same time, so a queue of
// each route is in the order of their deadlines, but for the few that somebody moved before a restart.
func (r *registry) watchDeadline(s slot, it item) {
	name := r.tasks.places.get(r.tasks.get(s).place).route
	if known, ok := r.routes[name]; !ok || known.Deadline <= 0 {
		return
	}
	if r.deadlines == nil {
		r.deadlines = make(map[string]*fifo)
	}
	if r.deadlines[name] == nil {
		r.deadlines[name] = &fifo{}
	}
	r.deadlines[name].push(it)
}

// watchDeadlines notes them anew, for all that waits, after routes have changed.
func (r *registry) watchDeadlines() {
	r.deadlines = nil
	for _, it := range r.arrivals.items[r.arrivals.head:] {
		if r.current(it, task.Queued, task.Retrying, task.Processing) {
			r.watchDeadline(it.slot, it)
		}
	}
}

// expireOverdue fails the waiting tasks whose deadline has passed, at most so many of a route that no pass holds up the
// mailbox. One that runs has its deadline in its context; it is looked at again later, for it may be lost and wait once more.
func (r *registry) expireOverdue(ctx actor.Context) {
	expired := false
	for name, q := range r.deadlines {
		q.tidy(func(it item) bool { return r.current(it, task.Queued, task.Retrying, task.Processing) })
		for range min(q.len(), maxForgotten) {
			it, _ := q.peek()
			if !r.current(it, task.Queued, task.Retrying, task.Processing) {
				q.pop()
				continue
			}
			if e := r.tasks.get(it.slot); r.now() < r.routes.deadline(name, e.Since) {
				break
			}
			q.pop()
			if r.current(it, task.Processing) {
				q.push(it)
			} else if r.expire(ctx, it.slot) {
				r.schedule.Remove(uint32(it.slot))
				expired = true
			}
		}
	}
	if expired {
		r.dispatch(ctx)
	}
}
