package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/internal/logfield"
)

// Node is one member: the shell that runs a Keeper against a Store, and an Owner by what it decides. Its methods are safe
// for use by several goroutines; those that say what is so take no lock, and read what was so after the last event.
type Node struct {
	config Config
	store  Store
	owner  Owner
	clock  clock.Clock
	now    func() time.Duration
	log    logrus.FieldLogger
	inform func(address string)

	book  atomic.Pointer[book]
	state atomic.Int32 // idle, started, done

	// Each of these wakes the loop, and holds one: what it is woken for is looked up, or is the only one of its kind.
	ticks    chan struct{}      // the timer fired, or somebody said Look
	answers  chan outcome       // the request under way is over
	drained  chan struct{}      // one of the reports is done
	leave    chan time.Duration // Stop was called; until when there is time
	abandon  chan struct{}      // Stop has no more time
	finished chan struct{}      // closed when the loop has ended

	// The loop's own.
	keeper  *Keeper
	timer   clock.Timer
	reports map[Claim]*report // drops that were not drained yet
	looking *atomic.Bool      // Look was called since the last tick
	failing bool              // the last request failed: the next failure is not logged
}

const (
	nodeIdle int32 = iota
	nodeStarted
	nodeDone
)

// outcome is how a request ended.
type outcome struct {
	request Request
	answer  Answer
	err     error
}

// report is what the Owner says of a drop, from any goroutine.
type report struct{ done atomic.Bool }

// Option is for an embedder or a test.
type Option func(*Node)

// WithClock has timers, and the start of the process, from a clock other than the machine's.
func WithClock(c clock.Clock) Option { return func(n *Node) { n.clock = c } }

// WithMonotonic has the monotonic clock from elsewhere: a reading that never falls, from any beginning above zero.
func WithMonotonic(now func() time.Duration) Option { return func(n *Node) { n.now = now } }

// WithTell has members told that they may Look, by address, so that a shard that was given back goes on at once; without it
// they find it within a third of a TTL. It is called on the Node's goroutine and must not block; what it says may get lost.
func WithTell(tell func(address string)) Option { return func(n *Node) { n.inform = tell } }

// WithLog says where to log: joining and losing the session, the store that does not answer, shards that come and go.
// Without it that is logrus's standard logger.
func WithLog(log logrus.FieldLogger) Option { return func(n *Node) { n.log = log } }

// NewNode returns a Node that has not started. What is zero in the configuration is filled in.
func NewNode(config Config, store Store, owner Owner, options ...Option) (*Node, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	var boot [8]byte
	if _, err := rand.Read(boot[:]); err != nil {
		return nil, fmt.Errorf("cluster: randomness for the session: %w", err)
	}
	n := &Node{
		config:   config,
		store:    store,
		owner:    owner,
		clock:    clock.Real{},
		now:      monotonic,
		log:      logrus.StandardLogger(),
		inform:   func(string) {},
		ticks:    make(chan struct{}, 1),
		answers:  make(chan outcome, 1),
		drained:  make(chan struct{}, 1),
		leave:    make(chan time.Duration, 1),
		abandon:  make(chan struct{}, 1),
		finished: make(chan struct{}),
		reports:  map[Claim]*report{},
		looking:  &atomic.Bool{},
	}
	for _, option := range options {
		option(n)
	}
	n.log = n.log.WithField(logfield.Component, "cluster").WithField(logfield.Member, config.Name)
	n.keeper = NewKeeper(config, hex.EncodeToString(boot[:]), n.clock.Now())
	n.book.Store(n.keeper.book())
	return n, nil
}

// Start makes the member join, and returns at once: Ready says when it has. A Node starts once; after Stop it does nothing.
func (n *Node) Start() {
	if n.state.CompareAndSwap(nodeIdle, nodeStarted) {
		go n.run()
	}
}

// Stop makes the member leave: its shards drain and are given back one by one, so that others go on with them at once, and
// its session ends. What has not ended within HandOver, or shortly before ctx is done, is stopped. When ctx is done first the
// session is ended with whatever still runs, and the error is ctx's. It is safe to call twice, and before Start.
func (n *Node) Stop(ctx context.Context) error {
	if n.state.CompareAndSwap(nodeIdle, nodeDone) {
		close(n.finished)
		return nil
	}
	left := n.config.HandOver
	if deadline, ok := ctx.Deadline(); ok {
		// Three quarters for what runs, the rest for stopping it and for telling the store.
		left = min(left, deadline.Sub(n.clock.Now())*3/4)
	}
	select {
	case n.leave <- n.now() + max(0, left):
	default: // another Stop is faster
	}
	select {
	case <-n.finished:
		return nil
	case <-ctx.Done():
	}
	select {
	case n.abandon <- struct{}{}:
	default:
	}
	<-n.finished
	return ctx.Err()
}

// Valid says whether this member may act for a shard at this moment. Whoever acts asks before each step that cannot be
// taken back, for the process may have been asleep since it last asked.
func (n *Node) Valid(shard int) bool {
	_, ok := n.Generation(shard)
	return ok
}

// Generation is that under which this member may act for a shard; false if it may not.
func (n *Node) Generation(shard int) (int64, bool) {
	b := n.book.Load()
	if shard < 0 || shard >= len(b.local) || n.now() >= b.validUntil {
		return 0, false
	}
	return b.local[shard].valid()
}

// Owner says which member has a shard, by name, and where to reach it, as far as this one knows; false when nobody has it.
func (n *Node) Owner(shard int) (member, address string, ok bool) {
	b := n.book.Load()
	if shard < 0 || shard >= len(b.world.shards) {
		return "", "", false
	}
	m := b.owner(n.now(), shard)
	if m == nil {
		return "", "", false
	}
	return m.Name(), m.Address, true
}

// View is the cluster as this member sees it.
func (n *Node) View() View { return n.book.Load().view(n.now(), n.config) }

// Look makes the member ask the store as soon as it may: for a caller that heard of a change, such as a shard given back
// for this member to take. It never blocks, and may be called as often as one likes: requests stay a fiftieth of a TTL
// apart.
func (n *Node) Look() {
	n.looking.Store(true)
	wake(n.ticks)
}

// Ready is nil while the store answers and this member's session is fresh, which is when it may accept for any shard. It
// is ErrLeaving, ErrNameTaken, ErrStuck, or wraps ErrUnavailable or what the store said otherwise.
func (n *Node) Ready() error {
	b := n.book.Load()
	switch {
	case b.leaving || n.state.Load() == nodeDone:
		return ErrLeaving
	case b.superseded:
		return ErrNameTaken
	case len(b.stuck) > 0:
		return fmt.Errorf("%w: %d", ErrStuck, b.stuck[0])
	case errors.Is(b.failure, ErrShards), errors.Is(b.failure, ErrFull):
		return b.failure
	case n.now() >= b.validUntil && b.failure != nil:
		return fmt.Errorf("%w: %w", ErrUnavailable, b.failure)
	case n.now() >= b.validUntil:
		return ErrUnavailable
	}
	return nil
}
