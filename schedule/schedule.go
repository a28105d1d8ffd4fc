// Package schedule decides which waiting task runs next. It knows tasks only by a handle, routes with their policies and
// limits, and lanes: one for each ordering key of a route. It is pure: no clock, no I/O, no goroutine; time, in
// nanoseconds since 1970, is an argument. The registry owns one Scheduler and asks it; what becomes of a task, and what
// of that is durable, is the registry's business.
//
//	         Add                   Wake               Next
//	(none) ───────► timed or ready ────────► ready ─────────► running (a Run)
//	   ▲               ▲    │ Remove                             │ Ended
//	   └───────────────┼────┘                                    │
//	                   └────────────── Retry ◄───────────────────┘
//
// Fairness: routes with work take turns, and within a route the lanes with work do; a busy key delays no other by more
// than one task at a time.
//
// The one invariant: a lane whose policy is not Parallel never has two Runs, and one that has a ready task at its head,
// no Run, and is not paused, stands in its route's rotation. So no lane is ever stuck.
package schedule

import (
	"math"
	"slices"
)

// Never is a time that does not come.
const Never = int64(math.MaxInt64)

// Lane names a lane: the tasks of one route that share an ordering key.
type Lane struct {
	// ID is the caller's number for the pair of route and key.
	ID uint32
	// Route is the route's name. Tasks of a route that is not known are scheduled as the fallback says.
	Route string
	// Ordered is set where there is a key. Tasks without one are in no order: their policy is Parallel.
	Ordered bool
}

// Arrival is a task that enters its lane.
type Arrival struct {
	// At is when; Burst, for a Debounce lane after a restart, when the burst began that the task is the last of, or zero.
	At, Burst int64
	// Due is when the task may run; zero for at once.
	Due int64
	// Again is set for a task that was final and runs again: it stands at the back, and is not newer than those that
	// wait, so it takes no one's place.
	Again bool
}

// Effect is what the arrival of a task does to the others of its lane.
type Effect struct {
	// Superseded waited, and the arrival takes their place: they were removed.
	Superseded []uint32
	// Preempt says that the running ones are superseded too; the arrival waits for their Ended.
	Preempt bool
	// Burst is when the arrival's burst began; zero unless the lane is a Debounce one.
	Burst int64
}

// state is where a member stands.
type state uint8

const (
	absent state = iota
	timed        // waits for its due time
	ready        // waits for its turn
)

// member is what is known of one task: its lane, while it waits there.
type member struct {
	lane  *lane
	turn  uint32 // tells the current place in a queue from stale ones
	state state
	again bool
}

// Scheduler holds all that waits. It is not safe for concurrent use.
type Scheduler struct {
	routes   map[string]*route
	fallback *route
	active   []*route // those whose rotation is not empty
	cursor   int      // whose turn it is in active
	lanes    map[uint32]*lane
	gates    map[string]*Gate // by name; those of earlier routes for as long as something runs through them
	members  []member         // by handle
	due      dueHeap
}

// New returns a Scheduler without tasks. The routes' names must differ.
func New(routes []Route, fallback Route) *Scheduler {
	s := &Scheduler{
		routes: make(map[string]*route, len(routes)), fallback: newRoute(fallback), lanes: make(map[uint32]*lane),
		gates: make(map[string]*Gate),
	}
	for _, r := range append(slices.Clone(routes), fallback) {
		for _, g := range r.Gates {
			s.gates[g.name] = g
		}
	}
	for _, r := range routes {
		s.routes[r.Name] = newRoute(r)
	}
	return s
}

func (s *Scheduler) route(name string) *route {
	if r, ok := s.routes[name]; ok {
		return r
	}
	return s.fallback
}

// Add takes in a task that waits nowhere yet, and says what that does to the others of its lane.
func (s *Scheduler) Add(h uint32, in Lane, a Arrival) Effect {
	l := s.lane(in)
	var effect Effect
	if l.policy.replaces() && !a.Again {
		effect = s.takePlace(l, a)
	}
	if l.policy == Debounce && !a.Again {
		a.Due = max(a.Due, l.quietUntil(a.At))
	}
	s.join(h, l, a.Due, a.Again)
	if l.policy != Parallel || s.members[h].state == ready {
		l.waiting.pushBack(s.item(h))
	}
	s.offer(l)
	return effect
}

// takePlace removes those that wait in front of a newer one.
func (s *Scheduler) takePlace(l *lane, a Arrival) Effect {
	effect := Effect{Preempt: l.policy == Supersede && l.running > 0}
	l.waiting.each(func(it item) bool {
		if s.current(it) {
			effect.Superseded = append(effect.Superseded, it.handle)
		}
		return true
	})
	if l.policy == Debounce {
		if l.burst == 0 {
			l.burst = a.At
		}
		if a.Burst != 0 {
			l.burst = min(l.burst, a.Burst)
		}
		effect.Burst = l.burst
	}
	for _, h := range effect.Superseded {
		s.leave(h)
	}
	return effect
}

// Retry puts a task that ran back into its lane until it is due. In an ordered lane it stands in front, and holds it. Where
// a newer task waits that takes its place, nothing is put back: by is that task, and ok is false.
func (s *Scheduler) Retry(h uint32, in Lane, due int64) (by uint32, ok bool) {
	l := s.lane(in)
	if l.policy.replaces() {
		newer, found := uint32(0), false
		l.waiting.each(func(it item) bool {
			if s.current(it) && !s.members[it.handle].again {
				newer, found = it.handle, true
			}
			return true
		})
		if found {
			return newer, false
		}
	}
	s.join(h, l, due, false)
	switch {
	case l.policy != Parallel:
		l.waiting.pushFront(s.item(h))
	case s.members[h].state == ready:
		l.waiting.pushBack(s.item(h))
	}
	s.offer(l)
	return 0, true
}

// Remove takes out a task that waits. One that runs, or is not known, is left alone.
func (s *Scheduler) Remove(h uint32) {
	if !s.Waits(h) {
		return
	}
	l := s.members[h].lane
	s.leave(h)
	if !s.members[h].again {
		l.burst = 0 // it was the last of its burst
	}
	s.offer(l)
	s.close(l)
}

// Waits says whether a task waits in a lane.
func (s *Scheduler) Waits(h uint32) bool {
	return int(h) < len(s.members) && s.members[h].state != absent
}

// Move puts a waiting task to the front of its lane, where it need not wait for a due time, or to its back, where it is
// not due before due; zero for no due time. It says whether the task waited.
func (s *Scheduler) Move(h uint32, front bool, due int64) bool {
	if !s.Waits(h) {
		return false
	}
	m := &s.members[h]
	l := m.lane
	m.turn++
	m.state = ready
	if !front && due > 0 {
		m.state = timed
		s.due.push(dueItem{at: due, item: s.item(h)})
	}
	switch {
	case front:
		l.waiting.pushFront(s.item(h))
	case l.policy != Parallel || m.state == ready:
		l.waiting.pushBack(s.item(h))
	}
	s.offer(l)
	return true
}

// Pause keeps a lane from starting tasks, or lets it go on. Tasks that run go on running.
func (s *Scheduler) Pause(in Lane, paused bool) {
	l := s.lane(in)
	l.paused = paused
	s.offer(l)
	s.close(l)
}

// Next picks the task that runs next, if any may run now, and takes it out of its lane. The Run must be given to Ended.
func (s *Scheduler) Next(now int64) (h uint32, run *Run, ok bool) {
	for range len(s.active) {
		if s.cursor >= len(s.active) {
			s.cursor = 0
		}
		r := s.active[s.cursor]
		l := s.take(r, now)
		if l == nil {
			if r.rotation.len() == 0 {
				s.deactivate(s.cursor) // the next one has moved to the cursor
			} else {
				s.cursor++
			}
			continue
		}
		s.cursor++
		if h, run, ok := s.begin(l, now); ok {
			return h, run, true
		}
	}
	return 0, nil, false
}

// take returns the route's next lane whose head is ready, where the route may start one more.
func (s *Scheduler) take(r *route, now int64) *lane {
	for {
		l, found := r.rotation.peek()
		if !found {
			return nil
		}
		if !s.eligible(l) {
			r.rotation.pop()
			l.offered = false
			s.close(l)
			continue
		}
		if r.blockedUntil(now) > now {
			return nil
		}
		r.rotation.pop()
		l.offered = false
		return l
	}
}

// begin starts the head of an eligible lane. Where the breaker refuses after all, the lane goes back to its place.
func (s *Scheduler) begin(l *lane, now int64) (uint32, *Run, bool) {
	done, allowed := l.route.start(now)
	if !allowed {
		s.offer(l)
		return 0, nil, false
	}
	run := &Run{lane: l, done: done}
	it, _ := l.waiting.peek()
	l.waiting.pop()
	s.leave(it.handle)
	l.running++
	l.route.running++
	if !s.members[it.handle].again {
		l.burst = 0
	}
	s.offer(l)
	return it.handle, run, true
}

// Run is a task that runs: the place it takes in its lane and in the limits of its route, given back by Ended.
type Run struct {
	lane *lane
	done []func(Verdict)
}

// Ended gives back what a Run took. It is called once for each, when the work has really stopped: until then an ordered
// lane starts no other task.
func (s *Scheduler) Ended(run *Run, v Verdict) {
	for _, done := range run.done {
		done(v)
	}
	run.lane.running--
	run.lane.route.running--
	s.offer(run.lane)
	s.close(run.lane)
}

// Wake makes ready what has become due.
func (s *Scheduler) Wake(now int64) {
	for len(s.due) > 0 && s.due[0].at <= now {
		it := s.due.pop()
		if !s.current(it.item) || s.members[it.handle].state != timed {
			continue
		}
		m := &s.members[it.handle]
		m.state = ready
		if m.lane.policy == Parallel {
			m.lane.waiting.pushBack(it.item)
		}
		s.offer(m.lane)
	}
}

// NextWake is when to call Wake and Next again although nothing has happened: the first due time, or when a route that has
// work may start it; Never where nothing waits for a time.
func (s *Scheduler) NextWake(now int64) int64 {
	for len(s.due) > 0 && (!s.current(s.due[0].item) || s.members[s.due[0].handle].state != timed) {
		s.due.pop()
	}
	at := Never
	if len(s.due) > 0 {
		at = s.due[0].at
	}
	for _, r := range s.active {
		if until := r.blockedUntil(now); until > now {
			at = min(at, until)
		}
	}
	return at
}

// Grow makes room for tasks whose handles are below n, at once rather than as they come.
func (s *Scheduler) Grow(n int) {
	if n > len(s.members) {
		s.members = append(s.members, make([]member, n-len(s.members))...)
	}
}

// join makes a task a member of a lane, timed where it has a due time; who calls gives it its place in the lane.
func (s *Scheduler) join(h uint32, l *lane, due int64, again bool) {
	for int(h) >= len(s.members) {
		s.members = append(s.members, make([]member, max(1024, len(s.members)/4))...)
	}
	m := &s.members[h]
	m.lane, m.turn, m.state, m.again = l, m.turn+1, ready, again
	l.grow(1)
	if due > 0 {
		m.state = timed
		s.due.push(dueItem{at: due, item: s.item(h)})
	}
}

// leave makes a task no member any more. What is left of it in queues is stale.
func (s *Scheduler) leave(h uint32) {
	m := &s.members[h]
	l := m.lane
	m.lane, m.state, m.turn = nil, absent, m.turn+1
	l.grow(-1)
	if l.waiting.len() > 2*l.live+64 {
		l.waiting.keep(s.current)
	}
}

func (s *Scheduler) item(h uint32) item { return item{handle: h, turn: s.members[h].turn} }

// current says whether an item is not stale.
func (s *Scheduler) current(it item) bool {
	m := &s.members[it.handle]
	return m.turn == it.turn && m.state != absent
}

// lane finds a lane, or makes it.
func (s *Scheduler) lane(in Lane) *lane {
	if l, ok := s.lanes[in.ID]; ok {
		return l
	}
	l := &lane{id: in.ID, name: in.Route, ordered: in.Ordered, route: s.route(in.Route)}
	l.policy = l.policyOf(l.route)
	s.lanes[in.ID] = l
	l.route.lengths[0]++
	return l
}

// close forgets a lane that is empty: it costs nothing then. Its number may get another meaning from now on.
func (s *Scheduler) close(l *lane) {
	if l.live == 0 && l.running == 0 && !l.paused && s.lanes[l.id] == l {
		delete(s.lanes, l.id)
		l.route.lengths[0]--
	}
}

// eligible says whether the head of a lane may run as far as the lane is concerned.
func (s *Scheduler) eligible(l *lane) bool {
	if l.paused || (l.policy != Parallel && l.running > 0) {
		return false
	}
	for {
		it, found := l.waiting.peek()
		if !found {
			return false
		}
		if s.current(it) {
			return s.members[it.handle].state == ready
		}
		l.waiting.pop()
	}
}

// offer puts a lane into its route's rotation if it is eligible and does not stand there.
func (s *Scheduler) offer(l *lane) {
	if l.offered || !s.eligible(l) {
		return
	}
	l.offered = true
	l.route.rotation.push(l)
	if !l.route.active {
		l.route.active = true
		s.active = append(s.active, l.route)
	}
}

func (s *Scheduler) deactivate(i int) {
	s.active[i].active = false
	s.active = append(s.active[:i], s.active[i+1:]...)
}
