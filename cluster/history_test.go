package cluster_test

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// scripts are histories.
func scripts(t *rapid.T) script {
	s := script{
		Shards:  rapid.IntRange(1, 16).Draw(t, "shards"),
		Members: rapid.IntRange(1, 4).Draw(t, "members"),
		Seed:    rapid.Uint64().Draw(t, "seed"),
	}
	s.Faults = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) fault {
		return fault{
			At:   time.Duration(rapid.IntRange(0, 8000).Draw(t, "after")) * time.Millisecond,
			Kind: kind(rapid.IntRange(0, int(kinds)-1).Draw(t, "kind")),
			Who:  rapid.IntRange(0, 7).Draw(t, "who"),
			For:  time.Duration(rapid.IntRange(0, 25000).Draw(t, "for")) * time.Millisecond,
		}
	}), 0, 20).Draw(t, "faults")
	return s
}

// TestRandomHistories has anything happen to a cluster, and then nothing. At no moment are two members valid for one shard,
// or one for a shard that another has taken; no write of an older generation is in the log after a newer one; no member
// takes what it has not drained, asks more often than it may, or for more, or wakes up for nothing. And a bounded time after
// the last trouble every shard is worked where it belongs.
func TestRandomHistories(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newSim(scripts(rt), broken{})
		if err := w.play(); err != nil {
			rt.Fatalf("%v\n%s", err, strings.Join(w.trace, "\n"))
		}
	})
}

// eventful is a history in which much happens, by chance of its number.
func eventful(number int) script {
	rng := rand.New(rand.NewPCG(uint64(number), 1))
	s := script{Shards: 1 + rng.IntN(16), Members: 1 + rng.IntN(4), Seed: rng.Uint64()}
	for range rng.IntN(25) {
		s.Faults = append(s.Faults, fault{
			At:   time.Duration(rng.IntN(8000)) * time.Millisecond,
			Kind: kind(rng.IntN(int(kinds))),
			Who:  rng.IntN(8),
			For:  time.Duration(rng.IntN(25000)) * time.Millisecond,
		})
	}
	return s
}

// TestEventfulHistories is TestRandomHistories, many at a time, with more in each. The number of one that fails is enough
// to see it again.
func TestEventfulHistories(t *testing.T) {
	for i := range 1000 {
		w := newSim(eventful(i), broken{})
		if err := w.play(); err != nil {
			t.Fatalf("history %d: %v\n%s", i, err, strings.Join(w.trace, "\n"))
		}
	}
}

// TestTheSimulationNotices breaks what keeps owners apart, one thing at a time, and has the simulation find it.
func TestTheSimulationNotices(t *testing.T) {
	for _, c := range []struct {
		name   string
		broken broken
		want   error
	}{
		{"no margin", broken{margin: true}, errOverlap},
		{"no fencing", broken{fencing: true}, errStale},
		{"valid from the answer on", broken{start: true}, errOverlap},
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range 3000 {
				err := newSim(eventful(i), c.broken).play()
				if errors.Is(err, c.want) {
					t.Logf("history %d: %v", i, err)
					return
				}
				if err != nil {
					t.Fatalf("history %d: %v", i, err)
				}
			}
			t.Error("went by unnoticed")
		})
	}
}
