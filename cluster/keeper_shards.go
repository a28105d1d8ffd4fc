package cluster

import (
	"slices"
	"strings"
	"time"
)

// phase is where a shard stands on this member.
type phase uint8

const (
	away     phase = iota // nothing of it is here, whoever owns it in the store
	running               // by take; it may be acted for while the leases are valid
	draining              // by a drop that is not forced; what runs may end
	stopping              // by a forced drop; it may not be acted for any more
)

// holding is a shard on this member.
type holding struct {
	phase      phase
	generation int64
	by         time.Duration // draining: when it is stopped; stopping: when it is taken for stuck
	stuck      bool          // stopping takes too long
}

func (h holding) valid() (int64, bool) {
	if h.phase == running || h.phase == draining {
		return h.generation, true
	}
	return 0, false
}

// world is what the store last said, with times on this member's clock. It is not changed once it is made.
type world struct {
	at      time.Duration
	members []known
	shards  []Shard
}

// known is a member with the end of its session, which is not before that by the store's clock.
type known struct {
	Member
	ends time.Duration
}

// settled says whether the session was renewed after it had been there for a while: a member that starts, and one that
// fails at once, is given nothing before.
func (m *known) settled(c Config) bool { return m.Joined-m.Seen >= c.settle() }

func newWorld(now time.Duration, a Answer) *world {
	w := &world{at: now, shards: slices.Clone(a.Shards), members: make([]known, len(a.Members))}
	for i, m := range a.Members {
		w.members[i] = known{Member: m, ends: now + m.Left}
	}
	slices.SortFunc(w.members, func(a, b known) int { return strings.Compare(a.ID, b.ID) })
	return w
}

// find returns the session of an ID, which is nil once it is over.
func (w *world) find(id string) *known {
	i, found := slices.BinarySearchFunc(w.members, id, func(m known, id string) int { return strings.Compare(m.ID, id) })
	if !found {
		return nil
	}
	return &w.members[i]
}

// expired says whether a session but one's own is past its end.
func (w *world) expired(now time.Duration, self string) bool {
	return slices.ContainsFunc(w.members, func(m known) bool { return m.ID != self && now >= m.ends })
}

// free says whether nobody can be working a shard that self does not.
func (w *world) free(now time.Duration, shard int) bool {
	owner := w.shards[shard].Owner
	if owner == "" {
		return true
	}
	m := w.find(owner)
	return m == nil || now >= m.ends
}

// placement is where the shards should be, for one set of names.
type placement struct {
	names   []string
	indexes []int    // into names
	targets []string // by shard: the session that should have it, or empty where there is none
}

// lapse stops everything once the leases are no longer valid.
func (k *Keeper) lapse(now time.Duration, c *Commands) {
	if now < k.validUntil {
		return
	}
	for s := range k.local {
		k.force(c, s, Lapsed, now)
	}
}

// hurry stops what drains for too long, and counts as stuck what stops for too long.
func (k *Keeper) hurry(now time.Duration, c *Commands) {
	for s := range k.local {
		switch h := &k.local[s]; {
		case h.phase == draining && now >= h.by:
			k.force(c, s, Overdue, now)
		case h.phase == stopping && now >= h.by:
			h.stuck = true
		}
	}
}

// drop lets a running shard end what runs.
func (k *Keeper) drop(c *Commands, shard int, why Reason, by time.Duration) {
	h := &k.local[shard]
	h.phase, h.by = draining, by
	k.counts.Dropped[why]++
	c.Drop = append(c.Drop, Drop{Claim{shard, h.generation}, why})
}

// force stops a shard, if it is running or draining.
func (k *Keeper) force(c *Commands, shard int, why Reason, now time.Duration) {
	h := &k.local[shard]
	if _, valid := h.valid(); !valid {
		return
	}
	h.phase, h.by = stopping, now+k.config.TTL
	k.counts.Dropped[why]++
	c.Drop = append(c.Drop, Drop{Claim{shard, h.generation}, why})
}

// reconcile stops what the store says is not this member's.
func (k *Keeper) reconcile(now time.Duration, c *Commands) {
	for s, there := range k.world.shards {
		if !k.joined || there.Owner != k.session.ID || there.Generation != k.local[s].generation {
			k.force(c, s, Lost, now)
		}
	}
}

// take begins the shards that a request has acquired, unless its answer comes too late for that: then they are acquired
// again, under another generation. One whose place is elsewhere by now is not begun, but given back.
func (k *Keeper) take(now time.Duration, c *Commands, r Request) {
	if k.leaving || now >= k.validUntil {
		return
	}
	for _, want := range r.Acquire {
		there, h := k.world.shards[want.Shard], &k.local[want.Shard]
		if h.phase != away || k.placed.targets[want.Shard] != k.session.ID || there.Owner != k.session.ID || there.Generation != want.Generation+1 {
			continue
		}
		*h = holding{phase: running, generation: there.Generation}
		k.counts.Taken++
		c.Take = append(c.Take, Lease{want.Shard, there.Generation, k.validUntil})
	}
}

// place finds the session that should have each shard. A name takes part while it has a session that is alive and has
// settled; its shards are its latest session's, so one that restarts gets its own back, and of two processes of one name
// the later one works.
func (k *Keeper) place(now time.Duration) {
	latest, settled := map[string]*known{}, map[string]bool{}
	for i := range k.world.members {
		m := &k.world.members[i]
		if m.ID != k.session.ID && now >= m.ends {
			continue
		}
		name := m.Name()
		if other := latest[name]; other == nil || other.Started.Before(m.Started) {
			latest[name] = m
		}
		settled[name] = settled[name] || m.settled(k.config)
	}
	own := latest[k.config.Name]
	k.superseded = k.joined && own != nil && own.ID != k.session.ID
	names := make([]string, 0, len(latest))
	for name, m := range latest {
		leaving := m.Leaving || m.ID == k.session.ID && (k.leaving || k.stuck() || !k.joined)
		if settled[name] && !leaving {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	if k.placed.targets == nil || !slices.Equal(names, k.placed.names) {
		k.placed.names, k.placed.indexes = names, Place(k.config.Shards, names)
	}
	targets := make([]string, k.config.Shards)
	for s, i := range k.placed.indexes {
		if i >= 0 {
			targets[s] = latest[names[i]].ID
		}
	}
	k.placed.targets = targets
}

// handOver begins to drain shards whose place is another member.
func (k *Keeper) handOver(now time.Duration, c *Commands) {
	if k.leaving || !k.settled(now) {
		return
	}
	room := k.config.Moving
	for _, h := range k.local {
		if h.phase == draining {
			room--
		}
	}
	for s := range k.local {
		if room <= 0 {
			return
		}
		if target := k.placed.targets[s]; k.local[s].phase == running && target != "" && target != k.session.ID {
			k.drop(c, s, Moved, now+k.config.HandOver)
			room--
		}
	}
}

// releases are the shards that are this session's in the store, but not to be worked here. One that is stuck is among them:
// the log refuses its writes once another has it.
func (k *Keeper) releases() (claims []Claim) {
	for s, there := range k.world.shards {
		h, target := k.local[s], k.placed.targets[s]
		unwanted := h.stuck || h.phase == away && (k.leaving || target != "" && target != k.session.ID)
		if there.Owner == k.session.ID && unwanted && len(claims) < MaxBatch {
			claims = append(claims, Claim{s, there.Generation})
		}
	}
	return claims
}

// heirs are the addresses of the members whose shards this one had before, and which are free now.
func (k *Keeper) heirs(before *world) (addresses []string) {
	for s, there := range k.world.shards {
		had := before.shards[s].Owner == k.session.ID && k.session.ID != ""
		if !had || there.Owner != "" && (there.Owner != k.session.ID || k.world.find(there.Owner) != nil) {
			continue
		}
		if m := k.world.find(k.placed.targets[s]); m != nil && m.ID != k.session.ID && !slices.Contains(addresses, m.Address) {
			addresses = append(addresses, m.Address)
		}
	}
	return addresses
}

// acquires are the shards to be taken: those whose place is here, and that are free; or that are this session's already,
// but not worked, for an answer was lost or the leases had lapsed.
func (k *Keeper) acquires(now time.Duration) (claims []Claim) {
	if k.leaving {
		return nil
	}
	settled := k.settled(now)
	for s, there := range k.world.shards {
		mayTake := there.Owner == k.session.ID || settled && k.world.free(now, s)
		if k.local[s].phase != away || k.placed.targets[s] != k.session.ID || !mayTake {
			continue
		}
		if claims = append(claims, Claim{s, there.Generation}); len(claims) == MaxBatch {
			break
		}
	}
	return claims
}

// expecting says whether a shard whose place is here is still with another that is alive: then it is worth looking more
// often.
func (k *Keeper) expecting(now time.Duration) bool {
	if k.leaving || !k.settled(now) {
		return false
	}
	for s, there := range k.world.shards {
		if k.placed.targets[s] == k.session.ID && there.Owner != k.session.ID && k.local[s].phase == away && !k.world.free(now, s) {
			return true
		}
	}
	return false
}

// idle says whether nothing is left here that another could wait for.
func (k *Keeper) idle() bool {
	return !slices.ContainsFunc(k.local, func(h holding) bool { return h.phase != away && !h.stuck })
}

// stuck says whether a shard does not stop.
func (k *Keeper) stuck() bool {
	return slices.ContainsFunc(k.local, func(h holding) bool { return h.stuck })
}
