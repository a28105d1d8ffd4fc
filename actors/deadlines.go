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
// mailbox.
func (r *registry) expireOverdue(ctx actor.Context) {
	expired := false
	for _, q := range r.deadlines {
		q.tidy(func(it item) bool { return r.current(it, task.Queued, task.Retrying, task.Processing) })
		for range maxForgotten {
			it, ok := q.peek()
			if !ok || r.current(it, task.Processing) {
				break // one that runs is ended by its own deadline, and looked at again if it was lost
			}
			if r.current(it, task.Queued, task.Retrying) {
				if !r.expire(ctx, it.slot) {
					break
				}
				r.schedule.Remove(uint32(it.slot))
				expired = true
			}
			q.pop()
		}
	}
	if expired {
		r.dispatch(ctx)
	}
}
