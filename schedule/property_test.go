package schedule_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/schedule"
)

// world is what the property test knows beside the scheduler.
type world struct {
	t         *rapid.T
	s         *schedule.Scheduler
	now       int64
	arrivals  uint32
	lanes     []schedule.Lane
	policies  map[string]schedule.Policy
	laneOf    map[uint32]schedule.Lane
	running   map[uint32]*schedule.Run
	inLane    map[uint32]int    // runs by lane ID
	lastBegun map[uint32]uint32 // by lane ID, of tasks that begin for the first time
	begun     map[uint32]bool
	final     map[uint32]bool
	newest    map[uint32]uint32 // by lane ID
	known     map[string]bool   // routes that there are
	through   map[uint32]bool   // those that run and began on a known route
	most      int               // of them may run at one time; zero for no bound
	moved     map[uint32]bool   // lanes whose order somebody changed
}

// TestRandomHistories lets tasks of 500 keys under every policy arrive, run, fail, be cancelled, moved and paused at
// random. At every step no ordered lane has two runs and serial lanes keep the order of arrival; at the end every task is
// final, the newest of every replacing lane ran or was cancelled, and the scheduler is empty.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(100, 1500).Draw(t, "steps") {
			w.step()
		}
		w.checkLengths()
		w.finish()
	})
}

func newWorld(t *rapid.T) *world {
	w := &world{
		t: t, now: 1, policies: make(map[string]schedule.Policy), laneOf: make(map[uint32]schedule.Lane),
		running: make(map[uint32]*schedule.Run), inLane: make(map[uint32]int), lastBegun: make(map[uint32]uint32),
		begun: make(map[uint32]bool), final: make(map[uint32]bool), newest: make(map[uint32]uint32),
		moved: make(map[uint32]bool), known: make(map[string]bool), through: make(map[uint32]bool),
	}
	var routes []schedule.Route
	for p := schedule.Parallel; p <= schedule.Supersede; p++ {
		routes = append(routes, w.route(p.String(), p))
	}
	w.gate(routes)
	w.s = schedule.New(routes, schedule.Route{Name: "unknown"})
	for id := range uint32(rapid.IntRange(1, 500).Draw(t, "keys")) {
		w.lanes = append(w.lanes, schedule.Lane{ID: id, Route: routes[int(id)%len(routes)].Name, Ordered: true})
	}
	return w
}

// route makes one, and notes its policy.
func (w *world) route(name string, p schedule.Policy) schedule.Route {
	w.policies[name], w.known[name] = p, true
	return schedule.Route{
		Name: name, Policy: p, Quiet: 3, MaxWait: time.Duration(rapid.IntRange(0, 9).Draw(w.t, "max wait")),
		Gates: []*schedule.Gate{schedule.NewGate(name, schedule.Limits{Rate: 3e8, Burst: 2})},
	}
}

// gate puts all routes behind one destination as well.
func (w *world) gate(routes []schedule.Route) {
	w.most = rapid.IntRange(0, 3).Draw(w.t, "concurrency")
	destination := schedule.NewGate("destination", schedule.Limits{Concurrency: w.most})
	for i := range routes {
		routes[i].Gates = append(routes[i].Gates, destination)
	}
}

// replace changes the policy of some routes and removes others, and lets those arrive again that it displaces.
func (w *world) replace() {
	var routes []schedule.Route
	before := maps.Clone(w.policies)
	for p := schedule.Parallel; p <= schedule.Supersede; p++ {
		name := p.String()
		switch rapid.IntRange(0, 3).Draw(w.t, "fate of "+name) {
		case 0: // it goes: its tasks are in no order
			w.policies[name], w.known[name] = schedule.Parallel, false
		case 1:
			routes = append(routes, w.route(name, schedule.Policy(rapid.IntRange(0, 4).Draw(w.t, "policy of "+name))))
		default:
			routes = append(routes, w.route(name, before[name]))
		}
	}
	w.gate(routes)
	displaced := w.s.Replace(routes, schedule.Route{Name: "unknown"}, w.now)
	slices.Sort(displaced)
	for _, h := range displaced {
		if w.s.Waits(h) || w.final[h] || w.running[h] != nil {
			w.t.Fatalf("%d is displaced: waits %t, final %t, running %t", h, w.s.Waits(h), w.final[h], w.running[h] != nil)
		}
	}
	for _, h := range displaced {
		w.moved[w.laneOf[h].ID] = true
		w.join(h, w.laneOf[h])
	}
	w.checkLengths()
}

// checkLengths counts the lanes of each route one by one.
func (w *world) checkLengths() {
	want := make(map[string]schedule.Lengths)
	w.s.Lanes(func(id uint32, waiting, _ int, _ bool) bool {
		route := w.lanes[id].Route
		if !w.known[route] {
			route = "unknown"
		}
		lengths, place := want[route], 0
		for _, least := range []int{1, 2, 10, 100, 1000} {
			if waiting >= least {
				place++
			}
		}
		lengths[place]++
		want[route] = lengths
		return true
	})
	w.s.Lengths(func(route string, got schedule.Lengths) {
		if got != want[route] {
			w.t.Fatalf("lanes of route %s: %v, counted %v", route, got, want[route])
		}
	})
}

func (w *world) step() {
	switch rapid.IntRange(0, 12).Draw(w.t, "step") {
	case 0, 1, 2:
		w.arrive(rapid.SampledFrom(w.lanes).Draw(w.t, "lane"))
	case 3, 4, 5:
		w.begin()
	case 6, 7, 8:
		if h, ok := w.any("ended"); ok {
			w.end(h, rapid.IntRange(0, 3).Draw(w.t, "outcome"))
		}
	case 9:
		w.now += int64(rapid.IntRange(1, 5).Draw(w.t, "time"))
		w.s.Wake(w.now)
	case 10:
		if w.arrivals > 0 {
			h := rapid.Uint32Range(0, w.arrivals-1).Draw(w.t, "cancelled")
			if w.s.Waits(h) {
				w.s.Remove(h)
				w.final[h] = true
			}
		}
	case 11:
		w.operate()
	case 12:
		w.replace()
	}
}

func (w *world) operate() {
	l := rapid.SampledFrom(w.lanes).Draw(w.t, "operated")
	if rapid.Bool().Draw(w.t, "pause or move") {
		w.s.Pause(l, rapid.Bool().Draw(w.t, "paused"))
		return
	}
	state := w.s.Lane(l, w.now, 1000)
	if len(state.Waiting) != state.Total && w.policies[l.Route] != schedule.Parallel {
		w.t.Fatalf("lane %d says that %d wait, and lists %d", l.ID, state.Total, len(state.Waiting))
	}
	if len(state.Waiting) > 0 {
		h := rapid.SampledFrom(state.Waiting).Draw(w.t, "moved").Handle
		w.s.Move(h, rapid.Bool().Draw(w.t, "front"), 0)
		w.moved[l.ID] = true
	}
}

func (w *world) arrive(l schedule.Lane) {
	h := w.arrivals
	w.arrivals++
	w.laneOf[h] = l
	w.newest[l.ID] = h
	w.join(h, l)
}

// join puts a task into its lane.
func (w *world) join(h uint32, l schedule.Lane) {
	effect := w.s.Add(h, l, schedule.Arrival{At: w.now})
	for _, old := range effect.Superseded {
		if w.laneOf[old].ID != l.ID || w.final[old] || old >= h {
			w.t.Fatalf("%d superseded %d", h, old)
		}
		w.final[old] = true
	}
	if effect.Preempt != (w.policies[l.Route] == schedule.Supersede && w.inLane[l.ID] > 0) {
		w.t.Fatalf("preempt: %t with %d running", effect.Preempt, w.inLane[l.ID])
	}
}

func (w *world) begin() {
	h, run, ok := w.s.Next(w.now)
	if !ok {
		return
	}
	l := w.laneOf[h]
	policy := w.policies[l.Route]
	if w.known[l.Route] {
		if w.most > 0 && len(w.through) >= w.most {
			w.t.Fatalf("%d runs beside %d others, and no more than %d may", h, len(w.through), w.most)
		}
		w.through[h] = true
	}
	if w.final[h] || w.running[h] != nil {
		w.t.Fatalf("%d runs: final %t", h, w.final[h])
	}
	if policy != schedule.Parallel && w.inLane[l.ID] > 0 {
		w.t.Fatalf("two run in %v lane %d", policy, l.ID)
	}
	if last, any := w.lastBegun[l.ID]; any && policy != schedule.Parallel && !w.moved[l.ID] && !w.begun[h] && h < last {
		w.t.Fatalf("%v lane %d began %d after %d", policy, l.ID, h, last)
	}
	w.lastBegun[l.ID], w.begun[h] = h, true
	w.running[h] = run
	w.inLane[l.ID]++
}

// any draws one of the running tasks.
func (w *world) any(label string) (uint32, bool) {
	var all []uint32
	for h := range w.arrivals {
		if w.running[h] != nil {
			all = append(all, h)
		}
	}
	if len(all) == 0 {
		return 0, false
	}
	return rapid.SampledFrom(all).Draw(w.t, label), true
}

func (w *world) end(h uint32, outcome int) {
	l := w.laneOf[h]
	w.final[h] = true
	if outcome == 0 {
		if by, ok := w.s.Retry(h, l, w.now+int64(rapid.IntRange(0, 4).Draw(w.t, "wait"))); ok {
			w.final[h] = false
		} else if w.laneOf[by].ID != l.ID || by == h {
			w.t.Fatalf("%d gave way to %d", h, by)
		}
	}
	w.s.Ended(w.running[h], schedule.Verdict(outcome%3))
	delete(w.running, h)
	delete(w.through, h)
	w.inLane[l.ID]--
}

// finish lets everything come to its end: no more trouble, and time goes on.
func (w *world) finish() {
	for _, l := range w.lanes {
		w.s.Pause(l, false)
	}
	for range 20 * (int(w.arrivals) + 10) {
		for before := -1; before != len(w.running); {
			before = len(w.running)
			w.begin()
		}
		if h, ok := w.any("last"); ok {
			w.end(h, 1)
			continue
		}
		at := w.s.NextWake(w.now)
		if at == schedule.Never {
			break
		}
		w.now = max(w.now+1, at)
		w.s.Wake(w.now)
	}
	for h := range w.arrivals {
		if !w.final[h] {
			w.t.Fatalf("task %d of %v is stuck", h, w.laneOf[h])
		}
	}
	w.checkLengths()
	w.s.Lanes(func(id uint32, waiting, running int, _ bool) bool {
		w.t.Fatalf("lane %d is left with %d waiting and %d running", id, waiting, running)
		return false
	})
	for _, r := range w.s.Routes(w.now) {
		if r.Waiting != 0 || r.Running != 0 {
			w.t.Fatalf("route %s is left with %d waiting and %d running", r.Name, r.Waiting, r.Running)
		}
		for _, g := range r.Gates {
			if g.Running != 0 {
				w.t.Fatalf("gate %s is left with %d running", g.Name, g.Running)
			}
		}
	}
}
