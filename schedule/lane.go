package schedule

import "fmt"

// Policy is how the tasks of one key relate to each other.
type Policy uint8

// The policies.
const (
	Parallel  Policy = iota // no relation: as many run at once as there are workers
	Serial                  // one at a time, in order of arrival; a task that is retried holds those behind it
	Coalesce                // one runs, and of those that wait only the newest will
	Debounce                // as Coalesce, and it waits for a quiet period first
	Supersede               // a newer one takes the place of those that wait, and of the one that runs
)

var policyNames = [...]string{"parallel", "serial", "coalesce", "debounce", "supersede"}

// String is the policy's name in the configuration.
func (p Policy) String() string { return policyNames[p] }

// ParsePolicy is the inverse of String. Empty means Parallel.
func ParsePolicy(name string) (Policy, error) {
	if name == "" {
		return Parallel, nil
	}
	for i, known := range policyNames {
		if name == known {
			return Policy(i), nil
		}
	}
	return 0, fmt.Errorf("%.40q is none of %v", name, policyNames)
}

// OneAtATime says whether a lane of that policy never has two Runs.
func (p Policy) OneAtATime() bool { return p != Parallel }

// replaces says whether a newer task takes the place of older ones.
func (p Policy) replaces() bool { return p >= Coalesce }

// lane is the tasks of one ordering key of one route, while there are any.
type lane struct {
	id      uint32
	name    string // of its route, configured or not
	ordered bool
	policy  Policy
	paused  bool
	offered bool // stands in its route's rotation
	route   *route
	// waiting is in the order in which they will run. Those of a Parallel lane come in when they are due; in the others a
	// timed one at the head holds the rest.
	waiting queue[item]
	live    int   // members that wait, timed or ready; changed by grow only
	running int   // Runs not yet ended
	burst   int64 // of Debounce: when the waiting one's burst began; zero when none waits
}

// policyOf is the lane's policy on a route: that of the route where there is a key.
func (l *lane) policyOf(r *route) Policy {
	if l.ordered {
		return r.Policy
	}
	return Parallel
}

// Lengths is how many lanes there are by how many tasks wait in them: none, 1, 2 to 9, 10 to 99, 100 to 999, 1000 and more.
// A lane with none has a task that runs, or is paused.
type Lengths [6]int

// length is the place of a lane in Lengths.
func length(waiting int) int {
	switch {
	case waiting < 2:
		return waiting
	case waiting < 10:
		return 2
	case waiting < 100:
		return 3
	case waiting < 1000:
		return 4
	default:
		return 5
	}
}

// grow changes how many wait, and the lengths of the route's lanes with it.
func (l *lane) grow(by int) {
	l.route.lengths[length(l.live)]--
	l.live += by
	l.route.waiting += by
	l.route.lengths[length(l.live)]++
}

// quietUntil is when a Debounce lane that got a task at that time may run it.
func (l *lane) quietUntil(at int64) int64 {
	until := at + int64(l.route.Quiet)
	if l.route.MaxWait > 0 {
		until = min(until, l.burst+int64(l.route.MaxWait))
	}
	return until
}

// LaneState is a lane as it stands, for whoever asks why something waits.
type LaneState struct {
	Policy  Policy
	Paused  bool
	Running int
	// Waiting are the members in the order in which they will run, at most as many as asked for; those of a Parallel lane
	// that wait for a time are in no order and left out. Total is how many there are.
	Waiting []Waiting
	Total   int
	// Blocked is why the lane's head does not run although it is ready; nothing where it does not wait for a limit.
	Blocked string
}

// Waiting is a member that waits.
type Waiting struct {
	Handle uint32
	// Timed is set for one that waits for its due time.
	Timed bool
}

// Lane tells how a lane stands. One that is not known is empty.
func (s *Scheduler) Lane(in Lane, now int64, most int) LaneState {
	l, known := s.lanes[in.ID]
	if !known {
		l = &lane{ordered: in.Ordered, route: s.route(in.Route)}
		l.policy = l.policyOf(l.route)
	}
	state := LaneState{Policy: l.policy, Paused: l.paused, Running: l.running, Total: l.live}
	l.waiting.each(func(it item) bool {
		if s.current(it) {
			state.Waiting = append(state.Waiting, Waiting{Handle: it.handle, Timed: s.members[it.handle].state == timed})
		}
		return len(state.Waiting) < most
	})
	if l.offered {
		state.Blocked = l.route.blockedBy(now)
	}
	return state
}

// Lanes calls fn for every lane that has tasks or is paused, in no order, until it returns false.
func (s *Scheduler) Lanes(fn func(id uint32, waiting, running int, paused bool) bool) {
	for id, l := range s.lanes {
		if !fn(id, l.live, l.running, l.paused) {
			return
		}
	}
}
