package cluster_test

import (
	"fmt"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// process is one member's process: what Node is in earnest.
type process struct {
	world   *sim
	name    string
	number  int
	keeper  *cluster.Keeper
	began   time.Duration
	rate    float64 // of its clock
	leaving bool
	left    bool
	dead    bool
	paused  bool
	backlog []func() // what comes while it is paused

	cutUntil, deafUntil, lagUntil time.Duration
	stubborn                      bool

	timer   int           // the number of the newest; older ones are void
	asked   time.Duration // by its clock, when the last request was sent
	wakings int
	working map[int]int64 // shards that were taken and not drained, by generation
	dropped map[int]bool  // those of them that are to start nothing new
}

// start begins a process.
func (w *sim) start(name string) *process {
	config := cluster.Config{Name: name, Address: name, Shards: w.script.Shards, TTL: simTTL, HandOver: 8 * time.Second}.WithDefaults()
	if w.broken.margin {
		config.Margin = 0
	}
	p := &process{
		world:   w,
		name:    name,
		number:  len(w.procs),
		began:   w.now,
		rate:    1 - drift + 2*drift*w.rng.Float64(),
		asked:   -time.Hour,
		working: map[int]int64{},
		dropped: map[int]bool{},
	}
	p.keeper = cluster.NewKeeper(config, fmt.Sprintf("p%d", p.number), time.Unix(0, int64(w.now)+int64(p.number)*1e6))
	w.procs = append(w.procs, p)
	w.tell(p, func() { p.obey(p.keeper.Tick(p.clock())) })
	w.at(w.between(0, 200*time.Millisecond), func() { p.work() })
	return p
}

func (p *process) id() string { return fmt.Sprintf("%s/p%d", p.name, p.number) }

func (p *process) runs() bool { return !p.dead && !p.left }

// clock is the process's own.
func (p *process) clock() time.Duration {
	return time.Second + time.Duration(float64(p.world.now-p.began)*p.rate)
}

// in is how long the world takes for what the process's clock takes d for.
func (p *process) in(d time.Duration) time.Duration {
	return time.Duration(float64(d)/p.rate) + time.Nanosecond
}

// valid is what the process would hold true at this moment, were it not paused.
func (p *process) valid(shard int) (int64, bool) {
	if p.dead || p.left {
		return 0, false
	}
	return p.keeper.Valid(p.clock(), shard)
}

// tell has something happen in a process: now, or once it is no longer paused.
func (w *sim) tell(p *process, do func()) {
	switch {
	case p.dead || p.left:
	case p.paused:
		p.backlog = append(p.backlog, do)
	default:
		do()
	}
}

// resume lets a process go on, with what has come meanwhile in any order.
func (w *sim) resume(p *process) {
	if !p.paused {
		return
	}
	p.paused = false
	backlog := p.backlog
	p.backlog = nil
	w.rng.Shuffle(len(backlog), func(i, j int) { backlog[i], backlog[j] = backlog[j], backlog[i] })
	for _, do := range backlog {
		w.tell(p, do)
	}
}

// obey does what the Keeper wants, as Node does, and holds it to what it promises.
func (p *process) obey(c cluster.Commands) {
	w, now := p.world, p.clock()
	for _, d := range c.Drop {
		p.drop(d)
	}
	for _, l := range c.Take {
		if generation, busy := p.working[l.Shard]; busy {
			w.fail(errProtocol, "%s takes shard %d while its generation %d has not been drained", p.id(), l.Shard, generation)
		}
		p.working[l.Shard] = l.Generation
		delete(p.dropped, l.Shard)
	}
	for _, address := range c.Tell {
		for _, other := range w.procs {
			if other.name == address && w.rng.IntN(4) > 0 {
				w.at(w.between(0, 50*time.Millisecond), func() {
					w.tell(other, func() { other.obey(other.keeper.Look(other.clock())) })
				})
			}
		}
	}
	if c.Request != nil {
		p.ask(*c.Request)
	}
	if c.Left {
		p.left = true
		return
	}
	if c.WakeAt < now+simTTL/1000 {
		w.fail(errProtocol, "%s is to wake after %v", p.id(), c.WakeAt-now)
	}
	p.timer++
	timer := p.timer
	w.at(p.in(c.WakeAt-now), func() {
		if p.timer == timer {
			w.tell(p, func() {
				p.wakings++
				p.obey(p.keeper.Tick(p.clock()))
			})
		}
	})
}

// drop drains a shard after a while, by chance.
func (p *process) drop(d cluster.Drop) {
	w := p.world
	if p.working[d.Shard] != d.Generation {
		w.fail(errProtocol, "%s: drop of shard %d at generation %d, it has %d", p.id(), d.Shard, d.Generation, p.working[d.Shard])
	}
	if _, ok := p.valid(d.Shard); ok && d.Reason.Forced() {
		w.fail(errProtocol, "%s is valid for shard %d while it is stopped, %v", p.id(), d.Shard, d.Reason)
	}
	p.dropped[d.Shard] = true
	takes := w.between(0, 500*time.Millisecond)
	switch {
	case p.stubborn:
		takes = w.between(0, 2*simTTL)
	case !d.Reason.Forced() && w.rng.IntN(4) == 0:
		takes = w.between(0, 15*time.Second) // longer than HandOver, sometimes
	}
	w.at(takes, func() {
		w.tell(p, func() {
			if p.working[d.Shard] == d.Generation {
				delete(p.working, d.Shard)
			}
			p.obey(p.keeper.Drained(p.clock(), d.Claim))
		})
	})
}

// ask sends a request on its way.
func (p *process) ask(r cluster.Request) {
	w, now := p.world, p.clock()
	if now-p.asked < simTTL/50 {
		w.fail(errProtocol, "%s asks again after %v", p.id(), now-p.asked)
	}
	if len(r.Acquire) > cluster.MaxBatch || len(r.Release) > cluster.MaxBatch {
		w.fail(errProtocol, "%s asks for %d and gives back %d", p.id(), len(r.Acquire), len(r.Release))
	}
	for _, c := range r.Release {
		if generation, busy := p.working[c.Shard]; busy && generation == c.Generation && !p.dropped[c.Shard] {
			w.fail(errProtocol, "%s gives back shard %d, which runs", p.id(), c.Shard)
		}
	}
	p.asked = now
	there, back := w.between(time.Millisecond, 30*time.Millisecond), w.between(time.Millisecond, 30*time.Millisecond)
	if w.now < max(w.slowUntil, p.lagUntil) {
		there, back = w.between(0, simTTL/3), w.between(0, simTTL/3)
	}
	if w.now+there < w.frozenUntil {
		there = w.frozenUntil - w.now
	}
	over := false // answered, or given up
	end := func(do func()) {
		w.tell(p, func() {
			if !over {
				over = true
				do()
			}
		})
	}
	w.at(p.in(simTTL/3), func() { end(func() { p.obey(p.keeper.Failed(p.clock(), r, errTimeout)) }) })
	if w.now < p.cutUntil {
		return
	}
	w.at(there, func() {
		answer, err := w.store.Serve(r)
		if w.now < p.deafUntil {
			return
		}
		w.at(back, func() {
			end(func() {
				if w.broken.start {
					r.Start = p.clock()
				}
				if err != nil {
					p.obey(p.keeper.Failed(p.clock(), r, err))
				} else {
					p.obey(p.keeper.Answered(p.clock(), r, answer))
				}
			})
		})
	})
}

// work writes for every shard that the process may act for, again and again. Writes take a while to reach the store,
// and are refused there if they come too late.
func (p *process) work() {
	w := p.world
	if !p.runs() {
		return
	}
	w.tell(p, func() {
		for s, generation := range p.working {
			valid, ok := p.valid(s)
			if !ok || p.dropped[s] {
				continue
			}
			if valid != generation {
				w.fail(errProtocol, "%s: shard %d runs at generation %d and is valid at %d", p.id(), s, generation, valid)
			}
			takes := w.between(0, 100*time.Millisecond)
			if w.now < w.slowUntil || w.now < p.cutUntil {
				takes = w.between(0, simTTL)
			}
			w.at(takes, func() { _ = w.store.Write(cluster.Claim{Shard: s, Generation: generation}) })
		}
	})
	w.at(500*time.Millisecond, p.work)
}
