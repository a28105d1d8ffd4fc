// Package cluster says which member works which shard. Members are rows with a heartbeat in a shared store, leases are
// held by a member's session there, and each lease of a shard carries a generation, which grows with every taking: who
// writes for a shard names it, and the store of the log refuses an older one. The package decides and keeps the books; what
// a shard is, and who loads and stops it, is the Owner's affair.
//
// Two invariants, in order of strength. No write of an older generation follows a newer one: the log's store sees to that,
// whatever clocks do. And while Node.Valid says that this member may act for a shard, no other member has taken it: that
// rests on the monotonic clock of the member and the clock of the store running at nearly the same rate, Margin apart.
//
//	          Take                drained by Drop, or by itself
//	free ───────────► running ──────────────► draining ──► free, and another takes it
//	  ▲                  │ validity lapses, or the lease is lost: stop at once
//	  └──────────────────┴──────────────► stopping ──► free
//
// Keeper is the machine that decides: no clock, no I/O, no goroutine. Node is the shell that runs it against a Store.
package cluster

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// The errors a caller branches on.
var (
	// ErrUnavailable means that the store did not answer in time for this member's leases to be valid.
	ErrUnavailable = errors.New("cluster: the store does not answer")
	// ErrLeaving means that the member is leaving, or has left.
	ErrLeaving = errors.New("cluster: the member is leaving")
	// ErrNameTaken means that a member of the same name joined later and is alive: this one owns nothing any more.
	ErrNameTaken = errors.New("cluster: another member has this name")
	// ErrStuck means that the Owner did not stop a shard in time; the member owns nothing new until it has.
	ErrStuck = errors.New("cluster: a shard does not stop")
	// ErrShards means that the store holds another number of shards than the member is configured for.
	ErrShards = errors.New("cluster: the store has another number of shards")
	// ErrFull means that MaxMembers have joined already.
	ErrFull = errors.New("cluster: too many members")
)

// Bounds of what a cluster may be.
const (
	MaxShards  = 1024
	MaxMembers = 256
	// MaxBatch bounds the shards that one request takes, and those that it gives back.
	MaxBatch = 256
	// MaxTTL bounds Config.TTL. A store that finds a lease ending later than this from now cuts it to this: its clock was
	// set back.
	MaxTTL = time.Minute
	minTTL = time.Second
)

// Defaults of a Config.
const (
	DefaultShards   = 64
	DefaultTTL      = 10 * time.Second
	DefaultHandOver = 30 * time.Second
	DefaultMoving   = 4
)

// Config is for the operator.
type Config struct {
	// Name is the member's, the same after a restart and like no other's: 1 to 64 letters, digits, dots, dashes and
	// underscores.
	Name string
	// Address is where other members reach this one; up to 256 bytes, not judged here.
	Address string
	// Version is that of the program, for people to see; up to 64 bytes.
	Version string
	// Shards is how many there are: the same on every member, 1 to MaxShards. Zero means DefaultShards.
	Shards int
	// TTL is how long a lease lasts in the store after it was last renewed: a dead member's shards are free after it. It is
	// renewed at a third of it. From 1 s to MaxTTL; zero means DefaultTTL. Members may differ.
	TTL time.Duration
	// Margin is how long before the lease's end in the store the member stops by itself. It pays for what a clock that runs
	// too slow counts too little in a TTL, and for the time that stopping takes. A tenth to a half of the TTL; zero means a
	// fifth.
	Margin time.Duration
	// HandOver bounds how long a shard that is given to another member, or that of a member that leaves, may take to end
	// what runs; afterwards it is stopped. Up to an hour; zero means DefaultHandOver.
	HandOver time.Duration
	// Moving bounds how many shards a member hands over at once while it stays. Up to MaxShards; zero means DefaultMoving.
	Moving int
}

// WithDefaults returns c with what is zero filled in.
func (c Config) WithDefaults() Config {
	setDefault(&c.Shards, DefaultShards)
	setDefault(&c.TTL, DefaultTTL)
	setDefault(&c.Margin, c.TTL/5)
	setDefault(&c.HandOver, DefaultHandOver)
	setDefault(&c.Moving, DefaultMoving)
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

var names = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// Validate says what is wrong with c, whose defaults are filled in.
func (c Config) Validate() error {
	switch {
	case !names.MatchString(c.Name):
		return fmt.Errorf("cluster: name %.80q must be 1 to 64 letters, digits, dots, dashes and underscores", c.Name)
	case len(c.Address) > 256:
		return errors.New("cluster: address must have at most 256 bytes")
	case len(c.Version) > 64:
		return errors.New("cluster: version must have at most 64 bytes")
	case c.Shards < 1 || c.Shards > MaxShards:
		return fmt.Errorf("cluster: shards must be between 1 and %d", MaxShards)
	case c.TTL < minTTL || c.TTL > MaxTTL:
		return fmt.Errorf("cluster: lease must be between %v and %v", minTTL, MaxTTL)
	case c.Margin < c.TTL/10 || c.Margin > c.TTL/2:
		return fmt.Errorf("cluster: margin must be between a tenth and a half of the lease, %v", c.TTL)
	case c.HandOver <= 0 || c.HandOver > time.Hour:
		return errors.New("cluster: hand-over must be above 0 and at most an hour")
	case c.Moving < 1 || c.Moving > MaxShards:
		return fmt.Errorf("cluster: shards that move at once must be between 1 and %d", MaxShards)
	}
	return nil
}

// The intervals that follow from the TTL. A request may take as long as a renewal is apart from the next: what is later
// would be of little use.
func (c Config) renew() time.Duration   { return c.TTL / 3 }
func (c Config) timeout() time.Duration { return c.TTL / 3 }

// retry is the interval after a failure, and while shards are expected from others.
func (c Config) retry() time.Duration { return c.TTL / 10 }

// settle is how long a member that has joined, or found back to the store, takes nothing that was another's: members that
// start together, or that a store left alone together, are all there by then.
func (c Config) settle() time.Duration { return c.TTL / 5 }

// gap is the least time between two requests; soonest that between two wake-ups.
func (c Config) gap() time.Duration     { return c.TTL / 50 }
func (c Config) soonest() time.Duration { return c.TTL / 1000 }

// Lease is the right to act for a shard, for as long as Node.Valid says so.
type Lease struct {
	// Shard counts from zero.
	Shard int
	// Generation is the fencing token: every write for the shard names it. It grows with every taking, by whomever.
	Generation int64
	// ValidUntil is how long it is valid, on the member's monotonic clock, if nothing more is heard of the store. Every
	// renewal moves it; Node.Valid knows.
	ValidUntil time.Duration
}

// Reason says why a shard is dropped. The set is closed; metrics name it.
type Reason uint8

// The reasons.
const (
	// Moved: the shard has a better place on another member. End what runs, start nothing new.
	Moved Reason = 1
	// Leaving: the member leaves. As Moved.
	Leaving Reason = 2
	// Overdue: what ran did not end within HandOver. Stop at once.
	Overdue Reason = 3
	// Lapsed: the store was not heard of for too long. Stop at once: another may take the shard Margin later.
	Lapsed Reason = 4
	// Lost: another has the shard already. Stop at once; writes are refused by now.
	Lost Reason = 5
	// Stopped: the process has no more time to leave in order. Stop at once.
	Stopped Reason = 6
)

var reasonNames = [...]string{"", "moved", "leaving", "overdue", "lapsed", "lost", "stopped"}

// String is the reason's name in logs and metrics.
func (r Reason) String() string {
	if r < Moved || r > Stopped {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasonNames[r]
}

// Forced says that the shard is to be stopped at once. Without it, what runs may end first.
func (r Reason) Forced() bool { return r >= Overdue && r <= Stopped }

// Owner is what loads and stops shards: the actors' side. Both methods are called on the Node's goroutine, one after
// the other, and must not block or call Stop.
type Owner interface {
	// Take says that the shard is this member's from now on: load it. It is never called for a shard whose earlier
	// generation has not been reported as drained, and never twice with one generation.
	Take(Lease)
	// Drop says that the shard is to be given back. drained reports, from any goroutine and never blocking, that nothing
	// of this generation runs or writes any more; it may be called more than once, and during Drop. A drop that is not
	// Forced may be followed by one that is, for the same generation: then either's drained will do. Until drained is
	// called, Valid stays true after a drop that is not Forced, so that what ends can be written down.
	//
	// A shard that is not drained within a TTL after a forced drop is taken for stuck: others get it, the log refuses
	// this member's writes, and the member owns nothing new until drained is called.
	Drop(shard int, generation int64, reason Reason, drained func())
}
