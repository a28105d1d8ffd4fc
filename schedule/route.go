package schedule

import "time"

// Route is how the tasks of one route are scheduled.
type Route struct {
	// Name is the one that Lane.Route refers to.
	Name string
	// Policy holds for tasks with an ordering key.
	Policy Policy
	// Quiet and MaxWait are for Debounce: a task runs when no newer one of its key came for Quiet, but no later than
	// MaxWait after the first of its burst. Zero MaxWait means no bound.
	Quiet, MaxWait time.Duration
	// Gates all must have room before a task of the route starts. Routes may share a Gate: that of their destination.
	Gates []*Gate
}

// route is a Route with what waits in it.
type route struct {
	Route
	rotation queue[*lane] // eligible lanes, in the order in which they have their turn
	active   bool         // stands in Scheduler.active
	waiting  int
	running  int     // Runs not yet ended
	lengths  Lengths // of its lanes
}

func newRoute(r Route) *route { return &route{Route: r} }

// blockedUntil is when one more task of the route may start: now or earlier if it may at once, Never if that depends on
// one that runs.
func (r *route) blockedUntil(now int64) int64 {
	until := now
	for _, g := range r.Gates {
		until = max(until, g.blockedUntil(now))
	}
	return until
}

// blockedBy names the gate that keeps the route from starting a task, and why; nothing if none does.
func (r *route) blockedBy(now int64) string {
	for _, g := range r.Gates {
		if why := g.why(now); why != "" {
			return g.name + ": " + why
		}
	}
	return ""
}

// start takes what a task takes in each gate. The functions give it back.
func (r *route) start(now int64) (done []func(Verdict), ok bool) {
	for _, g := range r.Gates {
		release, allowed := g.start(now)
		if !allowed {
			for _, undo := range done {
				undo(Neutral)
			}
			return nil, false
		}
		done = append(done, release)
	}
	return done, true
}

// Lengths is how long the lanes of each route are, by its name; those of unknown routes under the fallback's. It takes as
// long as there are routes, however many lanes there are.
func (s *Scheduler) Lengths(fn func(route string, lanes Lengths)) {
	for name, r := range s.routes {
		fn(name, r.lengths)
	}
	fn(s.fallback.Name, s.fallback.lengths)
}
