package clustertest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// Subject is an empty store under test.
type Subject struct {
	// Open returns the store as another member sees it: of its own connections, if it has such.
	Open func() cluster.Store
	// Advance makes d pass by the store's clock, or sets it back where d is below zero.
	Advance func(d time.Duration)
}

// Run holds a store to the contract of cluster.Store. Whatever time the store's clock really takes for a test is to be well
// below slack.
func Run(t *testing.T, subject func(t *testing.T, shards int) Subject) {
	for name, test := range map[string]func(*suite){
		"a session is there as it tells":              (*suite).joins,
		"what has no session does nothing":            (*suite).stranger,
		"shards are taken at their generation":        (*suite).acquires,
		"shards are given back at their generation":   (*suite).releases,
		"a session is over when somebody ends it":     (*suite).expires,
		"a session that is renewed is not over":       (*suite).renews,
		"a leaving member says so and ends":           (*suite).leaves,
		"there is room for so many":                   (*suite).full,
		"claims of no shard are nothing":              (*suite).nowhere,
		"one of many takes a shard":                   (*suite).race,
		"who renews and who ends are not both served": (*suite).duel,
		"a clock that was set back delays by so much": (*suite).back,
		"a request that was given up comes to an end": (*suite).gone,
		"it does what the store in memory does":       (*suite).model,
	} {
		t.Run(name, func(t *testing.T) {
			s := &suite{T: t, Subject: subject(t, shards)}
			s.store = s.Open()
			test(s)
		})
	}
}

const (
	shards = 5
	ttl    = 40 * time.Second
	// slack is what the machine may take for a test, and what times may be off by.
	slack = 15 * time.Second
)

type suite struct {
	*testing.T
	Subject
	store cluster.Store
}

// session is one of a member, the n-th.
func memberSession(name string, n int) cluster.Session {
	return cluster.Session{
		ID:      fmt.Sprintf("%s/boot/%d", name, n),
		Address: name + ".example:7000",
		Version: "v1",
		Started: time.Unix(1700000000, int64(n)*1000).UTC(),
	}
}

func (s *suite) sync(r cluster.Request) cluster.Answer {
	s.Helper()
	if r.TTL == 0 {
		r.TTL = ttl
	}
	a, err := s.store.Sync(s.Context(), r)
	if err != nil {
		s.Fatal(err)
	}
	if len(a.Shards) != shards {
		s.Fatalf("%d shards", len(a.Shards))
	}
	return a
}

func (s *suite) join(name string) cluster.Session {
	s.Helper()
	session := memberSession(name, 1)
	if a := s.sync(cluster.Request{Session: session, Join: true}); !a.Live {
		s.Fatalf("%s has joined and is not live", name)
	}
	return session
}

func find(a cluster.Answer, id string) *cluster.Member {
	for i := range a.Members {
		if a.Members[i].ID == id {
			return &a.Members[i]
		}
	}
	return nil
}

func about(got, want time.Duration) bool { return got-want < slack && want-got < slack }

// at is a claim.
func at(shard int, generation int64) cluster.Claim {
	return cluster.Claim{Shard: shard, Generation: generation}
}

// holds checks a shard.
func (s *suite) holds(a cluster.Answer, shard int, owner string, generation int64) {
	s.Helper()
	if got := a.Shards[shard]; got.Owner != owner || got.Generation != generation {
		s.Errorf("shard %d is %q's at generation %d, want %q at %d", shard, got.Owner, got.Generation, owner, generation)
	}
}

func (s *suite) joins() {
	a := s.join("a")
	s.Advance(20 * time.Second)
	b := s.join("b")
	answer := s.sync(cluster.Request{Session: b, Leaving: true})
	if len(answer.Members) != 2 {
		s.Fatalf("members: %+v", answer.Members)
	}
	first, second := find(answer, a.ID), find(answer, b.ID)
	if first == nil || first.Session != a || first.Leaving || !about(first.Joined, 20*time.Second) ||
		!about(first.Seen, 20*time.Second) || !about(first.Left, 20*time.Second) {
		s.Errorf("a: %+v", first)
	}
	if second == nil || second.Session != b || !second.Leaving || !about(second.Joined, 0) || !about(second.Left, ttl) {
		s.Errorf("b: %+v", second)
	}
	for shard := range shards {
		s.holds(answer, shard, "", 0)
	}
	s.Advance(10 * time.Second)
	answer = s.sync(cluster.Request{Session: a, TTL: 30 * time.Second})
	first = find(answer, a.ID)
	if !about(first.Joined, 30*time.Second) || !about(first.Seen, 0) || !about(first.Left, 30*time.Second) {
		s.Errorf("a, renewed: %+v", first)
	}
	if second = find(answer, b.ID); !about(second.Seen, 10*time.Second) || !second.Leaving {
		s.Errorf("b, a while later: %+v", second)
	}
}

func (s *suite) stranger() {
	a := s.join("a")
	s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(1, 0)}})
	never := memberSession("never", 1)
	answer := s.sync(cluster.Request{
		Session: never, Leaving: true, Expire: true,
		Release: []cluster.Claim{at(1, 1)}, Acquire: []cluster.Claim{at(0, 0)},
	})
	if answer.Live || find(answer, never.ID) != nil || len(answer.Members) != 1 {
		s.Errorf("a session that was never added: %+v", answer)
	}
	s.holds(answer, 0, "", 0)
	s.holds(answer, 1, a.ID, 1)
}

func (s *suite) acquires() {
	a, b := s.join("a"), s.join("b")
	answer := s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(3, 0), at(0, 0), at(1, 7)}})
	s.holds(answer, 0, a.ID, 1)
	s.holds(answer, 1, "", 0)
	s.holds(answer, 3, a.ID, 1)
	if !about(answer.Shards[0].Held, 0) {
		s.Errorf("held for %v", answer.Shards[0].Held)
	}
	s.Advance(25 * time.Second)
	answer = s.sync(cluster.Request{Session: b, Acquire: []cluster.Claim{at(0, 1), at(1, 0), at(3, 0)}})
	s.holds(answer, 0, a.ID, 1) // it is a's
	s.holds(answer, 1, b.ID, 1)
	s.holds(answer, 3, a.ID, 1)
	if !about(answer.Shards[0].Held, 25*time.Second) {
		s.Errorf("held for %v", answer.Shards[0].Held)
	}
	answer = s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, 1), at(3, 0)}})
	s.holds(answer, 0, a.ID, 2) // one's own, again
	s.holds(answer, 3, a.ID, 1) // not at an old generation, even one's own
	if !about(answer.Shards[0].Held, 0) {
		s.Errorf("held for %v", answer.Shards[0].Held)
	}
}

func (s *suite) releases() {
	a, b := s.join("a"), s.join("b")
	s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, 0), at(1, 0), at(2, 0)}})
	answer := s.sync(cluster.Request{Session: b, Release: []cluster.Claim{at(0, 1)}})
	s.holds(answer, 0, a.ID, 1) // it is not b's to give back
	answer = s.sync(cluster.Request{Session: a, Release: []cluster.Claim{at(0, 0), at(1, 1), at(2, 1)}, Acquire: []cluster.Claim{at(2, 1)}})
	s.holds(answer, 0, a.ID, 1)
	s.holds(answer, 1, "", 1)
	s.holds(answer, 2, a.ID, 2) // given back first, then taken
	answer = s.sync(cluster.Request{Session: b, Acquire: []cluster.Claim{at(1, 1)}})
	s.holds(answer, 1, b.ID, 2)
	answer = s.sync(cluster.Request{Session: a, Release: []cluster.Claim{at(1, 1)}})
	s.holds(answer, 1, b.ID, 2) // late
}

func (s *suite) expires() {
	a := s.join("a")
	s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, 0), at(1, 0)}})
	s.Advance(20 * time.Second)
	b := s.join("b")
	s.Advance(2*time.Second + slack) // a was renewed slack or more beyond half its time ago: not past its end
	answer := s.sync(cluster.Request{Session: b, Expire: true, Acquire: []cluster.Claim{at(0, 1)}})
	if find(answer, a.ID) == nil {
		s.Fatal("ended before its time")
	}
	s.holds(answer, 0, a.ID, 1)
	s.Advance(ttl / 2)
	answer = s.sync(cluster.Request{Session: b, Acquire: []cluster.Claim{at(0, 1)}})
	if m := find(answer, a.ID); m == nil || m.Left > 0 {
		s.Fatalf("nobody has ended it: %+v", m)
	}
	s.holds(answer, 0, a.ID, 1)
	answer = s.sync(cluster.Request{Session: b, Expire: true, Acquire: []cluster.Claim{at(0, 1)}})
	if find(answer, a.ID) != nil {
		s.Fatal("it is past its end, and was not ended")
	}
	s.holds(answer, 0, b.ID, 2)
	s.holds(answer, 1, a.ID, 1) // free, but nobody took it
	answer = s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(1, 1)}, Release: []cluster.Claim{at(1, 1)}})
	if answer.Live || find(answer, a.ID) != nil {
		s.Error("a session that was over came back")
	}
	s.holds(answer, 1, a.ID, 1)
	answer = s.sync(cluster.Request{Session: b, Acquire: []cluster.Claim{at(1, 1)}})
	s.holds(answer, 1, b.ID, 2)
}

func (s *suite) renews() {
	a, b := s.join("a"), s.join("b")
	s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, 0)}})
	s.Advance(2 * ttl)
	if answer := s.sync(cluster.Request{Session: a, Expire: true}); !answer.Live || find(answer, b.ID) != nil {
		s.Errorf("a session ends others, not itself: %+v", answer)
	}
	c := s.join("c")
	answer := s.sync(cluster.Request{Session: c, Expire: true, Acquire: []cluster.Claim{at(0, 1)}})
	s.holds(answer, 0, a.ID, 1) // late, but in time: nobody had ended it
	if find(answer, a.ID) == nil {
		s.Error("it was renewed, and ended")
	}
}

func (s *suite) leaves() {
	a, b := s.join("a"), s.join("b")
	s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, 0), at(1, 0)}})
	answer := s.sync(cluster.Request{Session: a, Leaving: true})
	if m := find(answer, a.ID); m == nil || !m.Leaving {
		s.Errorf("leaving: %+v", m)
	}
	answer = s.sync(cluster.Request{Session: a, Leaving: true, End: true, Release: []cluster.Claim{at(0, 1)}})
	if answer.Live || find(answer, a.ID) != nil {
		s.Error("ended, and there")
	}
	s.holds(answer, 0, "", 1)
	answer = s.sync(cluster.Request{Session: b, Acquire: []cluster.Claim{at(0, 1), at(1, 1)}})
	s.holds(answer, 0, b.ID, 2)
	s.holds(answer, 1, b.ID, 2)
	if answer = s.sync(cluster.Request{Session: a}); answer.Live {
		s.Error("a session that had ended was renewed")
	}
}

func (s *suite) full() {
	for n := range cluster.MaxMembers {
		s.sync(cluster.Request{Session: memberSession("m", n), Join: true})
	}
	late := memberSession("late", 1)
	_, err := s.store.Sync(s.Context(), cluster.Request{Session: late, TTL: ttl, Join: true})
	if !errors.Is(err, cluster.ErrFull) {
		s.Errorf("one too many: %v", err)
	}
	s.sync(cluster.Request{Session: memberSession("m", 0), End: true})
	if a := s.sync(cluster.Request{Session: late, Join: true}); !a.Live {
		s.Error("there is room, and it did not join")
	}
}

func (s *suite) nowhere() {
	a := s.join("a")
	claims := []cluster.Claim{at(-1, 0), at(shards, 0), at(cluster.MaxShards, 0), at(0, 0)}
	answer := s.sync(cluster.Request{Session: a, Acquire: claims, Release: claims[:3]})
	s.holds(answer, 0, a.ID, 1)
}

func (s *suite) race() {
	const members = 8
	var claims []cluster.Claim
	for shard := range shards {
		claims = append(claims, at(shard, 0))
	}
	answers := make([]cluster.Answer, members)
	var wg sync.WaitGroup
	for m := range members {
		session, store := s.join(fmt.Sprint("m", m)), s.Open()
		wg.Go(func() {
			a, err := store.Sync(s.Context(), cluster.Request{Session: session, TTL: ttl, Acquire: claims})
			if err != nil {
				s.Error(err)
			}
			answers[m] = a
		})
	}
	wg.Wait()
	for shard := range shards {
		for m, a := range answers {
			if len(a.Shards) == shards && (a.Shards[shard].Generation != 1 || a.Shards[shard].Owner != answers[0].Shards[shard].Owner) {
				s.Errorf("m%d sees shard %d as %+v, m0 as %+v", m, shard, a.Shards[shard], answers[0].Shards[shard])
			}
		}
	}
}

// duel has one renew what another ends, at the same time, many times.
func (s *suite) duel() {
	other := s.Open()
	for n := range 20 {
		a, b := memberSession("a", n), memberSession("b", n)
		generation := s.sync(cluster.Request{Session: a, Join: true}).Shards[0].Generation
		s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, generation)}})
		s.Advance(2 * ttl)
		s.sync(cluster.Request{Session: b, Join: true})
		var wg sync.WaitGroup
		var renewed, taken cluster.Answer
		wg.Go(func() {
			var err error
			if renewed, err = s.store.Sync(s.Context(), cluster.Request{Session: a, TTL: ttl, Expire: true}); err != nil {
				s.Error(err)
			}
		})
		wg.Go(func() {
			var err error
			taken, err = other.Sync(s.Context(), cluster.Request{
				Session: b, TTL: ttl, Expire: true, Acquire: []cluster.Claim{at(0, generation+1)},
			})
			if err != nil {
				s.Error(err)
			}
		})
		wg.Wait()
		if s.Failed() {
			return
		}
		if took := taken.Shards[0].Owner == b.ID; took == renewed.Live {
			s.Fatalf("duel %d: renewed %v, taken by another %v", n, renewed.Live, took)
		}
		s.sync(cluster.Request{Session: a, End: true})
		s.sync(cluster.Request{Session: b, End: true})
	}
}

func (s *suite) back() {
	a := s.join("a")
	s.sync(cluster.Request{Session: a, Acquire: []cluster.Claim{at(0, 0)}})
	s.Advance(-time.Hour)
	b := s.join("b")
	answer := s.sync(cluster.Request{Session: b, Expire: true, Acquire: []cluster.Claim{at(0, 1)}})
	m := find(answer, a.ID)
	if m == nil || !about(m.Left, cluster.MaxTTL) || !about(m.Joined, 0) || !about(m.Seen, 0) || m.Joined < 0 || m.Seen < 0 {
		s.Fatalf("an hour in the future: %+v", m)
	}
	if held := answer.Shards[0].Held; !about(held, 0) || held < 0 {
		s.Errorf("held for %v", held)
	}
	s.holds(answer, 0, a.ID, 1)
	s.Advance(cluster.MaxTTL + slack)
	answer = s.sync(cluster.Request{Session: b, Expire: true, Acquire: []cluster.Claim{at(0, 1)}})
	s.holds(answer, 0, b.ID, 2)
}

func (s *suite) gone() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	if _, err := s.store.Sync(ctx, cluster.Request{Session: memberSession("a", 1), TTL: ttl, Join: true}); err == nil {
		s.Error("no error")
	}
}
