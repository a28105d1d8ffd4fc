package cluster

import (
	"errors"
	"strconv"
	"time"
)

// Keeper decides what one member asks of the store, and which shards it takes and drops. It is told what happened and when,
// on the member's monotonic clock, and answers with Commands. It knows no wall clock, does no I/O, and is for one goroutine.
//
// Between events it is asked nothing: it names the time of its next Tick itself, and is content with ticks that come late,
// early or twice. However long it was left alone, the first event makes it look at the clock before anything else.
type Keeper struct {
	config  Config
	boot    string    // makes IDs unique, with epoch
	started time.Time // of the process, in whole microseconds
	epoch   int64     // counts sessions that were tried

	session    Session
	joined     bool // the store has confirmed the session
	superseded bool // a later session of this name is alive
	leaving    bool
	leaveBy    time.Duration // when nothing more is tried for it
	abandoned  bool          // there is no time left to leave in order
	left       bool

	validUntil time.Duration // zero: not valid
	heard      bool          // answered and contact mean something
	answered   time.Duration // start of the last request that was answered
	contact    time.Duration // start of the first since which no two were far apart
	sent       bool          // sentAt means something
	sentAt     time.Duration // start of the last request
	nextAt     time.Duration // when another is due, unless something calls for it earlier
	pending    uint64        // the number of the request under way, or zero
	seq        uint64
	failure    error // of the last request, or nil

	world  *world
	placed placement
	local  []holding // by shard
	counts Counts
}

// Commands are what is to be done after an event, in the order of the fields. BEFORE any of it, what Keeper.Valid says is to
// be made known to whoever acts for a shard.
type Commands struct {
	// Drop are shards to be given back.
	Drop []Drop
	// Take are shards to be loaded.
	Take []Lease
	// Tell are the addresses of members that may now take what this one has given back, if they Look. They will find out by
	// themselves, later.
	Tell []string
	// Request is to be sent, unless nil. No other is sent before it was answered or has failed.
	Request *Request
	// Left says that the member is out of the cluster: nothing is to be told to the Keeper any more.
	Left bool
	// WakeAt is when Tick is to be called next, unless something else happens earlier. It is later than the event's time
	// by at least a thousandth of the TTL.
	WakeAt time.Duration
}

// Drop is a shard to be given back.
type Drop struct {
	Claim
	Reason Reason
}

// Counts grow from zero at the start of the process.
type Counts struct {
	// Requests were sent, of which Failures failed.
	Requests, Failures uint64
	// Sessions were tried: more than one means that the member was taken for dead, or could not join at once.
	Sessions uint64
	// Taken shards, and Dropped ones by reason; a shard whose drop becomes forced counts twice.
	Taken   uint64
	Dropped [Stopped + 1]uint64
}

// NewKeeper returns the Keeper of a member that has not joined yet. The configuration is valid. boot is like that of no other
// process, up to 32 bytes; started is when this one was, by its wall clock.
func NewKeeper(config Config, boot string, started time.Time) *Keeper {
	return &Keeper{
		config:  config,
		boot:    boot,
		started: started.UTC().Truncate(time.Microsecond),
		world:   &world{shards: make([]Shard, config.Shards)},
		local:   make([]holding, config.Shards),
	}
}

// Tick is for when time has passed: the first call makes the member join.
func (k *Keeper) Tick(now time.Duration) Commands { return k.decide(now, Commands{}) }

// Look makes the Keeper ask the store as soon as it may, for something is said to have changed there.
func (k *Keeper) Look(now time.Duration) Commands {
	k.nextAt = min(k.nextAt, now)
	return k.decide(now, Commands{})
}

// Drained is for shards of which nothing runs or writes any more.
func (k *Keeper) Drained(now time.Duration, done ...Claim) Commands {
	for _, d := range done {
		if h := &k.local[d.Shard]; h.generation == d.Generation && (h.phase == draining || h.phase == stopping) {
			*h = holding{}
		}
	}
	return k.decide(now, Commands{})
}

// Leave makes the member give back all that it has, and then end its session. What has not ended by then is stopped.
func (k *Keeper) Leave(now, by time.Duration) Commands {
	var c Commands
	k.leaving, k.leaveBy, k.nextAt = true, by, min(k.nextAt, now)
	for s := range k.local {
		switch h := &k.local[s]; h.phase {
		case running:
			k.drop(&c, s, Leaving, by)
		case draining:
			h.by = min(h.by, by)
		}
	}
	return k.decide(now, c)
}

// Abandon makes the member end its session whatever still runs: it is valid for nothing from now on.
func (k *Keeper) Abandon(now time.Duration) Commands {
	var c Commands
	k.leaving, k.abandoned, k.validUntil = true, true, 0
	for s := range k.local {
		k.force(&c, s, Stopped, now)
	}
	return k.decide(now, c)
}

// Failed is for a request of unknown outcome, or one that did nothing.
func (k *Keeper) Failed(now time.Duration, r Request, err error) Commands {
	if r.Seq != k.pending {
		return k.decide(now, Commands{})
	}
	k.pending, k.failure = 0, err
	k.counts.Failures++
	k.nextAt = now + k.config.retry()
	if errors.Is(err, ErrFull) || errors.Is(err, ErrShards) {
		k.nextAt = now + k.config.renew()
	}
	if r.End && (k.abandoned || now >= k.leaveBy) {
		k.left = true // the session ends by itself
	}
	return k.decide(now, Commands{})
}

// Answered is for a request that was answered. What the answer renews is valid from the request's start.
func (k *Keeper) Answered(now time.Duration, r Request, a Answer) Commands {
	var c Commands
	switch {
	case r.Seq != k.pending:
		return k.decide(now, c)
	case len(a.Shards) != k.config.Shards:
		return k.Failed(now, r, ErrShards)
	}
	k.pending, k.failure = 0, nil
	k.nextAt = r.Start + k.config.renew()
	if !k.heard || r.Start-k.answered > k.config.TTL/2 {
		k.contact = r.Start
	}
	k.heard, k.answered = true, r.Start
	before := k.world
	k.world = newWorld(now, a)
	c.Tell = k.heirs(before)
	switch {
	case r.End:
		k.left = true
	case a.Live:
		k.joined = true
		k.validUntil = r.Start + k.config.TTL - k.config.Margin
		if self := k.world.find(k.session.ID); self != nil && !self.settled(k.config) {
			k.nextAt = min(k.nextAt, r.Start+k.config.settle()-self.Joined+k.config.soonest())
		}
		k.reconcile(now, &c)
		k.place(now)
		k.take(now, &c, r)
	default:
		k.joined, k.validUntil, k.nextAt = false, 0, now
		k.reconcile(now, &c)
	}
	return k.decide(now, c)
}

// Valid says whether the member may act for a shard, and under which generation.
func (k *Keeper) Valid(now time.Duration, shard int) (generation int64, ok bool) {
	if now >= k.validUntil {
		return 0, false
	}
	return k.local[shard].valid()
}

// decide is what follows from every event: first what the clock calls for, then what the store should be asked.
func (k *Keeper) decide(now time.Duration, c Commands) Commands {
	if k.leaving && !k.joined && k.pending == 0 && (k.abandoned || k.idle()) {
		k.left = true
	}
	if k.left {
		for s := range k.local {
			k.force(&c, s, Stopped, now)
		}
		c.Left = true
		return c
	}
	k.lapse(now, &c)
	k.hurry(now, &c)
	k.place(now)
	k.handOver(now, &c)
	c.Request = k.request(now)
	c.WakeAt = k.wake(now)
	return c
}

// request is what the store is to be asked now, or nil.
func (k *Keeper) request(now time.Duration) *Request {
	if k.pending != 0 || k.left || now < k.soonestRequest() {
		return nil
	}
	if !k.joined {
		if now < k.nextAt {
			return nil
		}
		return k.send(now, k.join())
	}
	r := Request{
		Session: k.session,
		TTL:     k.config.TTL,
		Leaving: k.leaving || k.stuck(),
		End:     k.leaving && (k.abandoned || k.idle()),
		Expire:  k.settled(now) && k.world.expired(now, k.session.ID),
		Release: k.releases(),
		Acquire: k.acquires(now),
	}
	if now < k.due(now) && !r.End && len(r.Release) == 0 && len(r.Acquire) == 0 {
		return nil
	}
	return k.send(now, r)
}

// join makes a session that was never tried before: that of a request whose outcome is unknown may be there, or come to
// be there yet, and ends by itself.
func (k *Keeper) join() Request {
	k.epoch++
	k.counts.Sessions++
	k.session = Session{
		ID:      k.config.Name + "/" + k.boot + "/" + strconv.FormatInt(k.epoch, 10),
		Address: k.config.Address,
		Version: k.config.Version,
		Started: k.started.Add(time.Duration(k.epoch) * time.Microsecond),
	}
	return Request{Session: k.session, TTL: k.config.TTL, Join: true}
}

func (k *Keeper) send(now time.Duration, r Request) *Request {
	k.seq++
	k.counts.Requests++
	r.Start, r.Seq = now, k.seq
	k.pending, k.sent, k.sentAt = k.seq, true, now
	return &r
}

// due is when the store is to be asked if nothing calls for it earlier.
func (k *Keeper) due(now time.Duration) time.Duration {
	if k.failure == nil && k.expecting(now) {
		return min(k.nextAt, k.sentAt+k.config.retry())
	}
	return k.nextAt
}

// soonestRequest is before which none is sent, whatever calls for it.
func (k *Keeper) soonestRequest() time.Duration {
	if !k.sent {
		return 0
	}
	return k.sentAt + k.config.gap()
}

// settled says whether the member has been in touch with the store for long enough to judge others by what it saw there.
func (k *Keeper) settled(now time.Duration) bool {
	return k.joined && now-k.answered <= k.config.TTL/2 && now >= k.contact+k.config.settle()
}

// wake is when something is next to be decided.
func (k *Keeper) wake(now time.Duration) time.Duration {
	at := now + k.config.TTL
	sooner := func(t time.Duration) {
		if t > now {
			at = min(at, t)
		}
	}
	for _, h := range k.local {
		switch {
		case h.phase == running:
			sooner(k.validUntil)
		case h.phase == draining:
			sooner(k.validUntil)
			sooner(h.by)
		case h.phase == stopping && !h.stuck:
			sooner(h.by)
		}
	}
	if k.pending == 0 {
		at = min(at, max(k.due(now), k.soonestRequest()))
		sooner(k.soonestRequest())
	}
	for _, m := range k.world.members {
		sooner(m.ends)
	}
	sooner(k.contact + k.config.settle())
	return max(at, now+k.config.soonest())
}
