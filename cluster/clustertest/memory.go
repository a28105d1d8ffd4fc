// Package clustertest has what tests of the cluster need: the suite that every cluster.Store passes, and a store in memory
// with a clock and faults of its own.
package clustertest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// The errors of a Memory.
var (
	// ErrFenced refuses a write of a generation that is not the shard's newest.
	ErrFenced = errors.New("clustertest: fenced")
	// ErrLost is the outcome of a request that was served, or not, without an answer.
	ErrLost = errors.New("clustertest: no answer")
)

// Memory is a cluster.Store for one process, with a log that is fenced as a real one is. It is safe for concurrent use.
type Memory struct {
	mu       sync.Mutex // guards what follows
	now      func() time.Duration
	step     time.Duration
	sessions map[string]*session
	shards   []row
	writes   []cluster.Claim
	faults   func(cluster.Request) Fault
	unfenced bool
}

type session struct {
	cluster.Session
	leaving            bool
	joined, seen, ends time.Duration
}

type row struct {
	generation int64
	owner      string
	taken      time.Duration
}

// Fault is what befalls one request. The zero Fault is none.
type Fault struct {
	// Refuse is returned in place of serving the request.
	Refuse error
	// Before is how long it takes until it is served, After how long from there to the answer.
	Before, After time.Duration
	// Late has it served even when the caller gave up during Before.
	Late bool
	// Lose has it served, and answered with ErrLost.
	Lose bool
}

// NewMemory returns a store of so many shards whose clock is now.
func NewMemory(shards int, now func() time.Duration) *Memory {
	return &Memory{now: now, sessions: map[string]*session{}, shards: make([]row, shards)}
}

// Step sets the store's clock forward, or back where d is below zero.
func (m *Memory) Step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.step += d
}

// Inject has faults decide what befalls each request from now on; nil ends that.
func (m *Memory) Inject(faults func(cluster.Request) Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = faults
}

// Unfence breaks the log: it takes writes of any generation. A test that does not notice tests nothing.
func (m *Memory) Unfence() { m.unfenced = true }

// Sync implements cluster.Store.
func (m *Memory) Sync(ctx context.Context, r cluster.Request) (cluster.Answer, error) {
	fault := m.fault(r)
	if fault.Refuse != nil {
		return cluster.Answer{}, fault.Refuse
	}
	if err := pause(ctx, fault.Before); err != nil {
		if fault.Late {
			_, _ = m.Serve(r) // nobody is there to be told
		}
		return cluster.Answer{}, err
	}
	answer, err := m.Serve(r)
	if wait := pause(ctx, fault.After); wait != nil {
		return cluster.Answer{}, wait
	}
	if fault.Lose {
		return cluster.Answer{}, ErrLost
	}
	return answer, err
}

func (m *Memory) fault(r cluster.Request) Fault {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.faults == nil {
		return Fault{}
	}
	return m.faults(r)
}

func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Serve does what a request asks for, at this moment of the store's clock.
func (m *Memory) Serve(r cluster.Request) (cluster.Answer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now() + m.step
	m.cut(now)
	if r.Join && len(m.sessions) >= cluster.MaxMembers {
		return cluster.Answer{}, cluster.ErrFull
	}
	if r.Join {
		m.sessions[r.Session.ID] = &session{Session: r.Session, joined: now}
	}
	if self := m.sessions[r.Session.ID]; self != nil {
		self.seen, self.ends, self.leaving = now, now+r.TTL, r.Leaving
		if r.Expire {
			maps.DeleteFunc(m.sessions, func(_ string, s *session) bool { return s != self && s.ends <= now })
		}
		for _, c := range r.Release {
			m.release(r.Session.ID, c)
		}
		for _, c := range r.Acquire {
			m.acquire(now, r.Session.ID, c)
		}
		if r.End {
			delete(m.sessions, r.Session.ID)
		}
	}
	return m.answer(now, r.Session.ID), nil
}

// cut is what a store does whose clock was set back.
func (m *Memory) cut(now time.Duration) {
	for _, s := range m.sessions {
		s.ends, s.joined, s.seen = min(s.ends, now+cluster.MaxTTL), min(s.joined, now), min(s.seen, now)
	}
}

func (m *Memory) release(id string, c cluster.Claim) {
	if s := m.row(c.Shard); s != nil && s.owner == id && s.generation == c.Generation {
		s.owner = ""
	}
}

func (m *Memory) acquire(now time.Duration, id string, c cluster.Claim) {
	s := m.row(c.Shard)
	if s == nil || s.generation != c.Generation {
		return
	}
	if _, alive := m.sessions[s.owner]; alive && s.owner != id {
		return
	}
	*s = row{generation: s.generation + 1, owner: id, taken: now}
}

func (m *Memory) row(shard int) *row {
	if shard < 0 || shard >= len(m.shards) {
		return nil
	}
	return &m.shards[shard]
}

func (m *Memory) answer(now time.Duration, id string) cluster.Answer {
	a := cluster.Answer{Shards: make([]cluster.Shard, len(m.shards))}
	_, a.Live = m.sessions[id]
	for _, s := range slices.SortedFunc(maps.Values(m.sessions), func(a, b *session) int { return cmp.Compare(a.ID, b.ID) }) {
		a.Members = append(a.Members, cluster.Member{
			Session: s.Session, Leaving: s.leaving, Joined: now - s.joined, Seen: now - s.seen, Left: s.ends - now,
		})
	}
	for i, s := range m.shards {
		a.Shards[i] = cluster.Shard{Generation: s.generation, Owner: s.owner, Held: max(0, now-s.taken)}
	}
	return a
}

// Write appends to the shard's log under a generation, or returns ErrFenced.
func (m *Memory) Write(c cluster.Claim) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shards[c.Shard].generation != c.Generation && !m.unfenced {
		return ErrFenced
	}
	m.writes = append(m.writes, c)
	return nil
}

// Writes are all that were taken, in order.
func (m *Memory) Writes() []cluster.Claim {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.writes)
}

// Generations appends the newest generation of every shard to dst.
func (m *Memory) Generations(dst []int64) []int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.shards {
		dst = append(dst, s.generation)
	}
	return dst
}
