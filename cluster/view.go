package cluster

import (
	"slices"
	"time"
)

// book is what others than the Keeper's goroutine may know, as it was after one event. It is never changed.
type book struct {
	session    Session
	joined     bool
	leaving    bool
	superseded bool
	failure    error
	stuck      []int
	validUntil time.Duration
	renewed    time.Duration
	local      []holding
	targets    []string
	world      *world
	counts     Counts
}

// book writes down what there is.
func (k *Keeper) book() *book {
	b := &book{
		session:    k.session,
		joined:     k.joined,
		leaving:    k.leaving,
		superseded: k.superseded,
		failure:    k.failure,
		validUntil: k.validUntil,
		renewed:    k.answered,
		local:      slices.Clone(k.local),
		targets:    k.placed.targets,
		world:      k.world,
		counts:     k.counts,
	}
	for s, h := range k.local {
		if h.stuck {
			b.stuck = append(b.stuck, s)
		}
	}
	return b
}

// State is where a shard stands, as the member that is asked sees it.
type State uint8

// The states. Only the first two are known of other members' shards.
const (
	// Unowned: nobody has it, or only a member whose session is past its end.
	Unowned State = iota
	// Owned: a member has it.
	Owned
	// Draining: this member has it, and gives it back once what runs has ended.
	Draining
	// Stopping: this member had it, and what ran is being stopped.
	Stopping
	// Stuck: as Stopping, for more than a TTL.
	Stuck
)

var stateNames = [...]string{"unowned", "owned", "draining", "stopping", "stuck"}

// String is the state's name in the API and in metrics.
func (s State) String() string { return stateNames[min(s, Stuck)] }

// View is the cluster as one member sees it. It is the caller's own.
type View struct {
	// Name is this member's, and Session its session's ID, empty before the first attempt to join.
	Name, Session string
	// Joined says that the session was there when the store last answered; Leaving that the member is on its way out.
	Joined, Leaving bool
	// Answered is how long ago the last request that was answered was sent: all that follows is as old. Below zero if none
	// was yet.
	Answered time.Duration
	// ValidFor is how long this member's leases are valid if the store is not heard of again; zero when they are not.
	ValidFor time.Duration
	// Members are the sessions that are not over, by name, and of one name the latest first.
	Members []MemberView
	// Shards are all there are, by number.
	Shards []ShardView
	// Counts are this process's.
	Counts Counts
}

// MemberView is one member.
type MemberView struct {
	// Name, Session, Address and Version are as it tells. Started is by its own wall clock.
	Name, Session, Address, Version string
	Started                         time.Time
	// Self is this member. Alive: its session is not past its end. Leaving: it takes nothing more.
	Self, Alive, Leaving bool
	// Joined is how long ago it joined, Seen how long ago it was last heard of by the store.
	Joined, Seen time.Duration
	// Left is how long its leases last in the store if it is not heard of again; zero when they are over.
	Left time.Duration
	// Shards is how many it has.
	Shards int
}

// ShardView is one shard.
type ShardView struct {
	Shard int
	State State
	// Ours says that it is this session's, draining and stopping ones included.
	Ours       bool
	Generation int64
	// Owner is the name of the member that has it, and Address where to reach it; empty when Unowned.
	Owner, Address string
	// Held is how long the owner has had it, Left how long its lease lasts in the store if it is not renewed. Both are zero
	// when Unowned.
	Held, Left time.Duration
	// Target is the name of the member that should have it, empty while that is not known. Moving says that it is another
	// than the owner's.
	Target string
	Moving bool
}

// view makes a View of a book at a time.
func (b *book) view(now time.Duration, config Config) View {
	age := now - b.world.at
	v := View{
		Name:     config.Name,
		Session:  b.session.ID,
		Joined:   b.joined,
		Leaving:  b.leaving,
		Answered: now - b.renewed,
		ValidFor: max(0, b.validUntil-now),
		Members:  make([]MemberView, 0, len(b.world.members)),
		Shards:   make([]ShardView, len(b.world.shards)),
		Counts:   b.counts,
	}
	if b.world.at == 0 {
		v.Answered = -1
	}
	shards := map[string]int{}
	for s, there := range b.world.shards {
		v.Shards[s] = b.shard(now, s)
		shards[there.Owner]++
	}
	for _, m := range b.world.members {
		v.Members = append(v.Members, MemberView{
			Name:    m.Name(),
			Session: m.ID,
			Address: m.Address,
			Version: m.Version,
			Started: m.Started,
			Self:    m.ID == b.session.ID,
			Alive:   now < m.ends,
			Leaving: m.Leaving,
			Joined:  m.Joined + age,
			Seen:    m.Seen + age,
			Left:    max(0, m.ends-now),
			Shards:  shards[m.ID],
		})
	}
	slices.SortStableFunc(v.Members, func(a, b MemberView) int {
		if a.Name != b.Name {
			if a.Name < b.Name {
				return -1
			}
			return 1
		}
		return b.Started.Compare(a.Started)
	})
	return v
}

// shard is where one shard stands.
func (b *book) shard(now time.Duration, shard int) ShardView {
	there, h := b.world.shards[shard], b.local[shard]
	v := ShardView{Shard: shard, Generation: there.Generation, Ours: b.session.ID != "" && there.Owner == b.session.ID}
	if m := b.owner(now, shard); m != nil {
		v.State, v.Owner, v.Address = Owned, m.Name(), m.Address
		v.Held, v.Left = there.Held+now-b.world.at, m.ends-now
	}
	switch {
	case h.phase == draining:
		v.State = Draining
	case h.stuck:
		v.State = Stuck
	case h.phase == stopping:
		v.State = Stopping
	}
	if b.targets != nil && b.targets[shard] != "" {
		v.Target = Session{ID: b.targets[shard]}.Name()
		v.Moving = v.Owner != "" && b.targets[shard] != there.Owner
	}
	return v
}

// owner is the member that has a shard, or nil.
func (b *book) owner(now time.Duration, shard int) *known {
	if m := b.world.find(b.world.shards[shard].Owner); m != nil && now < m.ends {
		return m
	}
	return nil
}
