package actors

import (
	"errors"
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

// Route is how the tasks of one route are worked. Zero fields mean the Config's.
type Route struct {
	// Route says when they run.
	schedule.Route
	// Binding works them. Its MaxAttempts bounds the automatic attempts, its Timeout one attempt.
	Binding handler.Binding
	// BackoffBase and BackoffCap bound the wait between attempts.
	BackoffBase, BackoffCap time.Duration
	// MaxElapsed bounds the time from acceptance, or from an operator's retry, to the start of the last automatic attempt.
	// Zero means no bound.
	MaxElapsed time.Duration
	// Deadline is when a task fails whatever attempts are left, counted like MaxElapsed: no attempt starts after it, and one
	// that runs is ended by it. Zero means none.
	Deadline time.Duration
}

// routes is what the registry and the workers know of the configured routes, by name. It is read-only.
type routes map[string]*Route

func newRoutes(list []Route) (routes, error) {
	known := make(routes, len(list))
	for i := range list {
		r := &list[i]
		if r.Name == "" || known[r.Name] != nil {
			return nil, fmt.Errorf("actors: route %q: a route needs a name of its own", r.Name)
		}
		if r.Binding.Handler == nil {
			return nil, fmt.Errorf("actors: route %q: a route needs a handler", r.Name)
		}
		known[r.Name] = r
	}
	return known, nil
}

// errNoHandler is why a task that nobody works fails at once.
var errNoHandler = errors.New("no handler is registered")

// lookup finds the handler of a task: that of its route or, where there is no such route any more, that of its source and
// event type.
func (k routes) lookup(fallback Handlers, route, source, eventType string) (handler.Binding, error) {
	if r, known := k[route]; known {
		return r.Binding, nil
	}
	if b, found := fallback.Lookup(source, eventType); found {
		return b, nil
	}
	if route != "" {
		return handler.Binding{}, fmt.Errorf("%w: there is no route %q any more, and none for source %q and event %q",
			errNoHandler, route, source, eventType)
	}
	return handler.Binding{}, fmt.Errorf("%w for source %q and event %q", errNoHandler, source, eventType)
}

// policy is when a failed attempt of a route's task is followed by another.
func (k routes) policy(c *Config, route string) task.Policy {
	p := task.Policy{Base: c.BackoffBase, Cap: c.BackoffCap, Quarantine: max(0, c.QuarantineAfter)}
	if r, known := k[route]; known {
		p.Base, p.Cap, p.MaxElapsed = or(r.BackoffBase, p.Base), or(r.BackoffCap, p.Cap), r.MaxElapsed
		if r.Deadline > 0 && (p.MaxElapsed == 0 || r.Deadline < p.MaxElapsed) {
			p.MaxElapsed = r.Deadline
		}
	}
	return p
}

// deadline is when a task must be final; zero for never.
func (k routes) deadline(route string, since int64) int64 {
	if r, known := k[route]; known && r.Deadline > 0 {
		return since + int64(r.Deadline)
	}
	return 0
}

// schedules are the routes as the scheduler knows them.
func (k routes) schedules() []schedule.Route {
	list := make([]schedule.Route, 0, len(k))
	for _, r := range k {
		list = append(list, r.Route)
	}
	return list
}

// maxAttempts bounds a route's automatic attempts; zero where it, or the route, says nothing.
func (r *Route) maxAttempts() int {
	if r == nil {
		return 0
	}
	return r.Binding.MaxAttempts
}
