package clustertest

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// model sends the same requests, by chance, to the store and to the one in memory, and compares the answers. Times are
// such that what is past its end for one is so for the other, whatever the machine takes.
func (s *suite) model() {
	const step, short, long = 40 * time.Second, 20 * time.Second, 60 * time.Second
	rng := rand.New(rand.NewPCG(11, 1))
	var now time.Duration
	reference := NewMemory(shards, func() time.Duration { return now })
	var sessions []cluster.Session
	for n := range 150 {
		r := cluster.Request{TTL: []time.Duration{short, long}[rng.IntN(2)]}
		if len(sessions) == 0 || rng.IntN(8) == 0 {
			sessions = append(sessions, memberSession(fmt.Sprint("m", rng.IntN(3)), n))
			r.Session, r.Join = sessions[len(sessions)-1], true
		} else {
			r.Session = sessions[max(0, len(sessions)-1-rng.IntN(4))]
		}
		r.Leaving, r.Expire, r.End = rng.IntN(4) == 0, rng.IntN(2) == 0, rng.IntN(10) == 0
		for _, shard := range rng.Perm(shards)[:rng.IntN(shards)] {
			r.Acquire = append(r.Acquire, at(shard, reference.shards[shard].generation-int64(rng.IntN(6)/5)))
		}
		for _, shard := range rng.Perm(shards)[:rng.IntN(2)] {
			r.Release = append(r.Release, at(shard, reference.shards[shard].generation))
		}
		want, err := reference.Serve(r)
		if err != nil {
			s.Fatal(err)
		}
		if difference := compare(s.sync(r), want); difference != "" {
			s.Fatalf("request %d, %+v: %s", n, r, difference)
		}
		if rng.IntN(3) == 0 {
			now += step
			s.Advance(step)
		}
	}
}

// compare says what is different between two answers, but for a little time.
func compare(got, want cluster.Answer) string {
	byID := func(a, b cluster.Member) int { return cmp.Compare(a.ID, b.ID) }
	slices.SortFunc(got.Members, byID)
	slices.SortFunc(want.Members, byID)
	if got.Live != want.Live || len(got.Members) != len(want.Members) {
		return fmt.Sprintf("got %+v, want %+v", got, want)
	}
	for i, m := range got.Members {
		w := want.Members[i]
		if m.Session != w.Session || m.Leaving != w.Leaving || !about(m.Joined, w.Joined) || !about(m.Seen, w.Seen) || !about(m.Left, w.Left) {
			return fmt.Sprintf("member: got %+v, want %+v", m, w)
		}
	}
	for i, shard := range got.Shards {
		w := want.Shards[i]
		if shard.Generation != w.Generation || shard.Owner != w.Owner || w.Owner != "" && !about(shard.Held, w.Held) {
			return fmt.Sprintf("shard %d: got %+v, want %+v", i, shard, w)
		}
	}
	return ""
}
