package cluster_test

import (
	"container/heap"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
	"github.com/hooktroupe/hooktroupe/cluster/clustertest"
)

// The simulation: Keepers, and the store in memory, in a world where every event has its time and nothing else takes any.
// Each process has a monotonic clock that runs up to drift too slow or too fast; the store's is right until it is set.

const (
	simTTL = 10 * time.Second
	drift  = 0.05
)

var errTimeout = errors.New("timed out")

// What may be wrong with a world.
var (
	errStale    = errors.New("a write of an older generation follows a newer one")
	errOverlap  = errors.New("valid here, taken elsewhere")
	errOrphan   = errors.New("nobody works it")
	errProtocol = errors.New("against the contract")
)

// broken is what is wrong with the machinery, so that the simulation can show that it would notice.
type broken struct {
	margin, fencing, start bool
}

// fault is one line of a script. What it means says kind.
type fault struct {
	At   time.Duration // after the fault before it
	Kind kind
	Who  int // which process
	For  time.Duration
}

type kind int

// The kinds. Those of a process do nothing when it does not run.
const (
	join        kind = iota // another member, with a new name
	restart                 // the process of a member that died or left, again
	crash                   // kill -9
	leave                   // in order
	pauseOne                // SIGSTOP, then SIGCONT
	cutOff                  // a partition from the store: nothing gets there
	deaf                    // nothing comes back from the store
	slow                    // requests take up to a third of a TTL to the store, and answers back: many come too late
	lag                     // as slow, for one process
	frozen                  // the store does nothing, then all that it was asked for
	stepBack                // the store's clock is set back
	stepForward             // the store's clock is set forward
	double                  // a second process with the name of one that runs
	stubborn                // a process's shards take longer to stop than a TTL
	kinds
)

func (k kind) String() string {
	return [...]string{"join", "restart", "crash", "leave", "pause", "cut off", "deaf", "slow", "lag", "frozen", "step back", "step forward",
		"double", "stubborn"}[k]
}

func (f fault) String() string { return fmt.Sprintf("+%v %v of %d for %v", f.At, f.Kind, f.Who, f.For) }

// script is one history.
type script struct {
	Shards, Members int
	Seed            uint64
	Faults          []fault
}

// happening is something that is due.
type happening struct {
	at  time.Duration
	seq int
	do  func()
}

type agenda []happening

func (a agenda) Len() int { return len(a) }
func (a agenda) Less(i, j int) bool {
	return a[i].at < a[j].at || a[i].at == a[j].at && a[i].seq < a[j].seq
}
func (a agenda) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)   { *a = append(*a, x.(happening)) }
func (a *agenda) Pop() any {
	old := *a
	last := old[len(old)-1]
	*a = old[:len(old)-1]
	return last
}

// sim is the world.
type sim struct {
	script script
	broken broken
	rng    *rand.Rand
	now    time.Duration
	agenda agenda
	seq    int
	store  *clustertest.Memory
	procs  []*process
	failed error

	slowUntil, frozenUntil time.Duration
	trust                  time.Duration // validity is relied on from here: the store's clock was set forward
	orphaned               []time.Duration
	worst                  time.Duration // that a shard was without an owner, since calm
	calm                   time.Duration // nothing goes wrong from here on; zero: not yet
	newest                 []int64       // generations, by shard
	trace                  []string
}

func newSim(s script, b broken) *sim {
	w := &sim{script: s, broken: b, rng: rand.New(rand.NewPCG(s.Seed, 7)), orphaned: make([]time.Duration, s.Shards)}
	w.store = clustertest.NewMemory(s.Shards, func() time.Duration { return w.now })
	if b.fencing {
		w.store.Unfence()
	}
	for i := range s.Members {
		w.start("m" + strconv.Itoa(i))
	}
	return w
}

func (w *sim) at(d time.Duration, do func()) {
	w.seq++
	heap.Push(&w.agenda, happening{w.now + max(0, d), w.seq, do})
}

func (w *sim) fail(what error, format string, args ...any) {
	if w.failed == nil {
		w.failed = fmt.Errorf("at %v: %w: "+format, append([]any{w.now, what}, args...)...)
	}
}

func (w *sim) note(format string, args ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%v ", w.now.Round(time.Millisecond))+fmt.Sprintf(format, args...))
}

// between is a duration by chance.
func (w *sim) between(low, high time.Duration) time.Duration {
	return low + time.Duration(w.rng.Int64N(int64(high-low)+1))
}

// until lets the world go on up to a time.
func (w *sim) until(end time.Duration) {
	for len(w.agenda) > 0 && w.agenda[0].at <= end && w.failed == nil {
		next := heap.Pop(&w.agenda).(happening)
		w.now = next.at
		next.do()
		w.watch()
	}
	w.now = end
}

// watch checks what holds at every moment.
func (w *sim) watch() {
	w.newest = w.store.Generations(w.newest[:0])
	for s, newest := range w.newest {
		holders := 0
		for _, p := range w.procs {
			generation, ok := p.valid(s)
			if !ok {
				continue
			}
			holders++
			if generation != newest && w.now >= w.trust {
				w.fail(errOverlap, "%s is valid for shard %d at generation %d, the store is at %d", p.id(), s, generation, newest)
			}
		}
		if holders > 1 && w.now >= w.trust {
			w.fail(errOverlap, "shard %d has %d owners", s, holders)
		}
		if holders > 0 {
			w.orphaned[s] = w.now
		} else if w.calm > 0 {
			w.worst = max(w.worst, w.now-max(w.calm, w.orphaned[s]))
		}
	}
}

// judge checks the log.
func (w *sim) judge() {
	newest := make([]int64, w.script.Shards)
	for _, c := range w.store.Writes() {
		if c.Generation < newest[c.Shard] {
			w.fail(errStale, "shard %d: a write of generation %d after one of %d", c.Shard, c.Generation, newest[c.Shard])
		}
		newest[c.Shard] = max(newest[c.Shard], c.Generation)
	}
}

// play lets a script happen, then everything be well for as long as it takes, and returns what was wrong.
func (w *sim) play() error {
	for _, f := range w.script.Faults {
		w.until(w.now + f.At)
		w.note("%v", f)
		w.happen(f)
	}
	w.until(w.now + 2*time.Second)
	w.heal()
	w.calm = w.now
	w.until(w.now + w.orphanBound() + 4*simTTL) // what is stuck stops, and what moves finds its place
	if w.failed == nil {
		w.check()
		w.rest()
	}
	w.judge()
	return w.failed
}

// orphanBound is how long a shard may be without an owner, at most, once nothing goes wrong any more.
func (w *sim) orphanBound() time.Duration {
	if slices.ContainsFunc(w.script.Faults, func(f fault) bool { return f.Kind == stepBack }) {
		return cluster.MaxTTL + simTTL
	}
	return 2 * simTTL
}

// heal ends all that is wrong: who sleeps wakes up, and nothing is lost or late.
func (w *sim) heal() {
	w.note("heal")
	w.slowUntil, w.frozenUntil = w.now, w.now
	alive := 0
	for _, p := range w.procs {
		p.cutUntil, p.deafUntil, p.lagUntil, p.stubborn = w.now, w.now, w.now, false
		w.resume(p)
		if p.runs() && !p.leaving {
			alive++
		}
	}
	if alive == 0 {
		w.start("last")
	}
}

// check is for after the calm: every shard is worked by the member whose place it is.
func (w *sim) check() {
	var names []string
	latest := map[string]*process{}
	for _, p := range w.procs {
		if p.runs() && !p.leaving {
			if latest[p.name] == nil {
				names = append(names, p.name)
			}
			latest[p.name] = p // in order of their start
		}
	}
	if w.worst > w.orphanBound() {
		w.fail(errOrphan, "a shard was without an owner for %v", w.worst)
	}
	slices.Sort(names)
	for s, i := range cluster.Place(w.script.Shards, names) {
		p := latest[names[i]]
		if _, ok := p.valid(s); !ok {
			w.fail(errOrphan, "shard %d is not worked by %s", s, p.id())
		}
	}
}

// rest has nothing happen for two TTLs, in which members wake up for a few renewals and nothing else.
func (w *sim) rest() {
	for _, p := range w.procs {
		p.wakings = 0
	}
	w.until(w.now + 2*simTTL)
	for _, p := range w.procs {
		if p.wakings > 30 {
			w.fail(errProtocol, "%s woke up %d times while nothing happened", p.id(), p.wakings)
		}
	}
}

// happen is one fault.
func (w *sim) happen(f fault) {
	p := w.procs[f.Who%len(w.procs)]
	switch f.Kind {
	case join:
		if len(w.procs) < 8 {
			w.start("m" + strconv.Itoa(len(w.procs)))
		}
	case restart:
		if !p.runs() {
			w.start(p.name)
		}
	case double:
		if p.runs() && len(w.procs) < 8 {
			w.start(p.name)
		}
	case crash:
		p.dead = true
	case leave:
		if p.runs() && !p.leaving {
			w.tell(p, func() {
				p.leaving = true
				p.obey(p.keeper.Leave(p.clock(), p.clock()+w.between(0, 20*time.Second)))
			})
		}
	case pauseOne:
		p.paused = true
		w.at(f.For, func() { w.resume(p) })
	case cutOff:
		p.cutUntil = w.now + f.For
	case deaf:
		p.deafUntil = w.now + f.For
	case slow:
		w.slowUntil = w.now + f.For
	case lag:
		p.lagUntil = w.now + f.For
	case frozen:
		w.frozenUntil = w.now + f.For
	case stepBack:
		w.store.Step(-10 * f.For)
	case stepForward:
		w.store.Step(f.For)
		w.trust = w.now + time.Duration(float64(simTTL)*(1+2*drift)) + simTTL/2
	case stubborn:
		p.stubborn = true
		w.at(f.For, func() { p.stubborn = false })
	}
}
