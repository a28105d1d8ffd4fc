package cluster

import (
	"context"
	"strings"
	"time"
)

// Store is where members and leases are: one Sync is one round trip and one transaction, by the store's own clock.
//
// It holds sessions and shards. A session is one uninterrupted membership of one process. It has an end, TTL after it was
// last renewed, but is over only when somebody ends it: its owner, or another that finds its end past. A session that is over
// never comes back. A shard has a generation and an owner, which is the ID of a session; it is free when that session is
// over, or no longer there, or when it was released.
//
// So a renewal is one small row however many shards a member has, and does not touch the rows that deliveries lock.
type Store interface {
	// Sync does what r asks for, in this order, all or nothing:
	//
	//  1. r.Join adds the session, unless there are MaxMembers already (ErrFull). Otherwise the session is renewed: now +
	//     r.TTL is its end. If it is over, nothing more is done, and the answer, not Live, still tells what there is.
	//  2. r.Expire ends every other session whose end is past.
	//  3. Each of r.Release whose generation and owner are those it says is freed. Its generation stays.
	//  4. Each of r.Acquire whose generation is the one it says, and that is free or this session's, is taken: its owner is
	//     the session, its generation grows by one. The others are left alone.
	//  5. r.End ends the session, which frees whatever it owns.
	//  6. What there is now is read, for the answer.
	//
	// Two that race for a session's end, or for a shard, are served one after the other: who renews first keeps the session,
	// who ends it first takes it away. A renewal that is never answered, or is served long after the request was given up,
	// does what it does and no harm.
	//
	// A store whose clock was set back finds sessions that end later than MaxTTL from now, and cuts them to MaxTTL; one that
	// began, or was renewed, in the future did so now. One whose clock was set forward ends sessions early: writes are refused by generation then, but validity is not to be relied on
	// for up to a TTL.
	//
	// It returns soon after ctx is done, and is called by one goroutine at a time. Any error means that the outcome is unknown;
	// one that wraps ErrFull or ErrShards, that nothing was done and that trying again is of no use for now. Slices are the
	// caller's.
	Sync(ctx context.Context, r Request) (Answer, error)
}

// Session is one membership of one process, as it tells of itself.
type Session struct {
	// ID is unique for ever: the member's name, a slash, and what the Keeper makes unique. At most 128 bytes.
	ID string
	// Address and Version are as in Config.
	Address, Version string
	// Started orders the sessions of one name: of two, the later one counts. In UTC, whole microseconds.
	Started time.Time
}

// Name is that of the member.
func (s Session) Name() string {
	name, _, _ := strings.Cut(s.ID, "/")
	return name
}

// Claim is a shard at a generation.
type Claim struct {
	Shard      int
	Generation int64
}

// Request is what one tick asks of the store.
type Request struct {
	// Start is when the Keeper made it, on the member's monotonic clock: what it renews is valid from here, for the store
	// may serve it at once. Stores ignore it, and Seq, by which the Keeper tells the answer it waits for.
	Start time.Duration
	Seq   uint64

	// Session is the member's.
	Session Session
	// TTL is how long the session lasts from now on.
	TTL time.Duration
	// Join says that the session is new.
	Join bool
	// Leaving says that the member is to be given nothing more.
	Leaving bool
	// End says that the session is over after this.
	End bool
	// Expire says that sessions past their end are over.
	Expire bool
	// Release are shards to be given back, each at the generation that this session had it. At most MaxBatch.
	Release []Claim
	// Acquire are shards to be taken, each at the generation that they are believed to have. At most MaxBatch, and none
	// twice.
	Acquire []Claim
}

// Member is a session as the store knows it.
type Member struct {
	Session
	// Leaving says that it takes nothing more.
	Leaving bool
	// Joined is how long ago the session began, and Seen how long ago it was last renewed, by the store's clock; never below
	// zero.
	Joined, Seen time.Duration
	// Left is how long it still lasts if it is not renewed; below zero when its end is past but nobody has ended it.
	Left time.Duration
}

// Shard is a shard as the store knows it.
type Shard struct {
	// Generation is that of the newest lease; zero before the first.
	Generation int64
	// Owner is the ID of the session that took it last, or empty after a release. The session may be over.
	Owner string
	// Held is how long ago it was last taken, by the store's clock; never below zero. It means nothing without an owner.
	Held time.Duration
}

// Answer is what there was when a request had been served.
type Answer struct {
	// Live says that the session is there: it was added or renewed, and not ended.
	Live bool
	// Members are the sessions that are not over, in no order; at most MaxMembers.
	Members []Member
	// Shards are all there are, by number.
	Shards []Shard
}
