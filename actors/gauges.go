package actors

import (
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/hooktroupe/hooktroupe/metrics"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

// The routes under which tasks are counted that belong to none, and to one that is not configured any more. No configured
// name holds a parenthesis.
const (
	routeNone    = "(none)"
	routeRemoved = "(removed)"
)

// lengthNames are the places of schedule.Lengths as they are labelled.
var lengthNames = [...]string{"0", "1", "2-9", "10-99", "100-999", "1000+"}

// gauge publishes what a scrape should see without asking. It takes as long as there are routes, however many tasks and
// lanes there are.
func (r *registry) gauge() {
	m := &r.metrics.Tasks
	for status := task.Queued; status <= task.Superseded; status++ {
		m.Tasks.With(status.String()).Set(float64(r.tasks.counts[status]))
	}
	age := 0.0
	if oldest := r.oldestWaiting(); oldest != 0 {
		age = max(0, float64(r.now()-oldest)/float64(time.Second))
	}
	m.OldestWaitingSeconds.Set(age)
	r.gaugeRoutes(m)
	m.LanesPaused.Set(float64(len(r.tasks.paused)))
}

// gaugeRoutes publishes how many tasks of each route are not final, and how long its lanes are. A route that was configured
// until now has none.
func (r *registry) gaugeRoutes(m *metrics.Tasks) {
	gone, removed := r.gauged, statusCounts{}
	r.gauged = make(map[string]struct{})
	r.schedule.Lengths(func(route string, lanes schedule.Lengths) {
		label, counts := route, r.tasks.byRoute[route]
		if route == "" {
			label = routeNone
		}
		setUnfinished(m, label, counts)
		for i, count := range lanes {
			m.Lanes.With(label, lengthNames[i]).Set(float64(count))
		}
		r.gauged[label] = struct{}{}
		delete(gone, label)
	})
	for route, counts := range r.tasks.byRoute {
		if route == "" || r.routes[route] != nil {
			continue
		}
		for status, count := range counts {
			removed[status] += count
		}
	}
	setUnfinished(m, routeRemoved, &removed)
	for label := range gone {
		setUnfinished(m, label, nil)
		for _, length := range lengthNames {
			m.Lanes.With(label, length).Set(0)
		}
	}
}

// setUnfinished publishes the counts of a route; nil for none.
func setUnfinished(m *metrics.Tasks, route string, counts *statusCounts) {
	if counts == nil {
		counts = &statusCounts{}
	}
	for _, status := range [...]task.Status{task.Queued, task.Processing, task.Retrying} {
		m.Unfinished.With(route, status.String()).Set(float64(counts[status]))
	}
}

// depth counts the messages that wait in one mailbox, which the library does not tell.
type depth struct{ gauge interface{ Add(float64) } }

func newDepth(m *metrics.Set, name string) *depth { return &depth{m.Actors.MailboxDepth.With(name)} }

// MailboxStarted is of no interest.
func (d *depth) MailboxStarted() {}

// MessagePosted counts up.
func (d *depth) MessagePosted(any) { d.gauge.Add(1) }

// MessageReceived counts down.
func (d *depth) MessageReceived(any) { d.gauge.Add(-1) }

// MailboxEmpty is of no interest.
func (d *depth) MailboxEmpty() {}

// countEvent counts the restarts of actors by the kind of actor, and messages that found none.
func countEvent(m *metrics.Actors, event any) {
	switch e := event.(type) {
	case *actor.SupervisorEvent:
		if e.Directive != actor.RestartDirective {
			return
		}
		kind := "attempt"
		if strings.HasPrefix(e.Child.GetId(), nameSupervisor+"/"+nameHandlers+"/") {
			kind = "handler"
		}
		m.Restarts.With(kind).Inc()
	case *actor.DeadLetterEvent:
		m.Undelivered.Inc()
	}
}
