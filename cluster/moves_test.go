package cluster_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/cluster"
)

// sound is a cluster in which nothing has gone wrong yet, and every shard is in its place.
func sound(t *testing.T, shards, members int, seed uint64) *sim {
	t.Helper()
	w := newSim(script{Shards: shards, Members: members, Seed: seed}, broken{})
	w.until(2 * simTTL)
	w.check()
	if w.failed != nil {
		t.Fatal(w.failed)
	}
	return w
}

// moved says how often each shard changed hands.
func moved(before, after []int64) (shards int, most int64) {
	for s := range before {
		if after[s] != before[s] {
			shards++
		}
		most = max(most, after[s]-before[s])
	}
	return shards, most
}

// misplaced says how many shards have another place among the names of after than among those of before.
func misplaced(shards int, before, after []string) (count int) {
	a, b := cluster.Place(shards, before), cluster.Place(shards, after)
	for s := range a {
		if before[a[s]] != after[b[s]] {
			count++
		}
	}
	return count
}

// TestAJoinMovesEachShardOnce, and only those whose place is elsewhere now; as does a leave.
func TestAJoinMovesEachShardOnce(t *testing.T) {
	for seed := range uint64(6) {
		w := sound(t, 64, 3, seed)
		before := w.store.Generations(nil)
		w.start("m3")
		w.until(w.now + 20*simTTL)
		w.check()
		shards, most := moved(before, w.store.Generations(nil))
		three, four := []string{"m0", "m1", "m2"}, []string{"m0", "m1", "m2", "m3"}
		if want := misplaced(64, three, four); shards != want || most != 1 || w.failed != nil {
			t.Fatalf("seed %d: %d shards moved, of which %d should have, at most %d times: %v", seed, shards, want, most, w.failed)
		}
		before = w.store.Generations(nil)
		w.happen(fault{Kind: leave, Who: 3})
		w.until(w.now + 5*simTTL)
		w.check()
		shards, most = moved(before, w.store.Generations(nil))
		if want := misplaced(64, four, three); shards != want || most > 1 || w.failed != nil {
			t.Fatalf("seed %d: left: %d shards moved, of which %d should have, at most %d times: %v", seed, shards, want, most, w.failed)
		}
	}
}

// TestADeadMembersShardsAreTakenInTime: a TTL after its last renewal, and a second.
func TestADeadMembersShardsAreTakenInTime(t *testing.T) {
	for seed := range uint64(30) {
		w := sound(t, 64, 3, seed)
		w.until(w.now + w.between(0, simTTL))
		w.happen(fault{Kind: crash, Who: 0})
		died := w.now
		w.calm = died
		w.until(died + 2*simTTL)
		w.check()
		if w.worst > simTTL+time.Second || w.failed != nil {
			t.Fatalf("seed %d: taken after %v: %v", seed, w.worst, w.failed)
		}
	}
}

// TestAnOutageOfTheStoreMovesNothing: all members lapse, none takes another's shards, and all go on with their own.
func TestAnOutageOfTheStoreMovesNothing(t *testing.T) {
	for seed := range uint64(20) {
		w := sound(t, 32, 3, seed)
		owners := map[int]string{}
		for _, p := range w.procs {
			for s := range p.working {
				owners[s] = p.name
			}
		}
		w.happen(fault{Kind: frozen, For: 3 * simTTL})
		w.until(w.now + 2*simTTL)
		for _, p := range w.procs {
			for s := range w.script.Shards {
				if _, ok := p.valid(s); ok {
					t.Fatalf("seed %d: %s is valid for shard %d without the store", seed, p.id(), s)
				}
			}
		}
		w.until(w.now + simTTL)
		w.calm = w.now
		w.until(w.now + 2*simTTL)
		w.check()
		for _, p := range w.procs {
			for s := range p.working {
				if owners[s] != p.name {
					t.Errorf("seed %d: shard %d went from %s to %s", seed, s, owners[s], p.name)
				}
			}
		}
		if w.worst > 4*time.Second || w.failed != nil {
			t.Fatalf("seed %d: worked again after %v: %v", seed, w.worst, w.failed)
		}
	}
}

// TestAShortPauseCostsNothing, and a long one the leases, which come back.
func TestAShortPauseCostsNothing(t *testing.T) {
	for seed := range uint64(20) {
		w := sound(t, 32, 3, seed)
		before := w.store.Generations(nil)
		w.happen(fault{Kind: pauseOne, Who: 1, For: 3 * time.Second})
		w.until(w.now + 2*simTTL)
		w.check()
		if shards, _ := moved(before, w.store.Generations(nil)); shards != 0 || w.failed != nil {
			t.Fatalf("seed %d: %d shards moved in a pause of 3 s: %v", seed, shards, w.failed)
		}
		mine := slices.Sorted(maps.Keys(w.procs[1].working))
		w.happen(fault{Kind: pauseOne, Who: 1, For: 2 * simTTL})
		w.until(w.now + 2*simTTL)
		for _, s := range mine {
			if w.store.Generations(nil)[s] == before[s] {
				t.Fatalf("seed %d: shard %d was not taken from a member that slept", seed, s)
			}
		}
		w.until(w.now + 8*simTTL)
		w.check()
		w.judge()
		if back := slices.Sorted(maps.Keys(w.procs[1].working)); !slices.Equal(back, mine) || w.failed != nil {
			t.Fatalf("seed %d: had %v, has %v: %v", seed, mine, back, w.failed)
		}
	}
}

// TestBatchesAreBounded: more shards than one request may take or give back.
func TestBatchesAreBounded(t *testing.T) {
	const many = cluster.MaxBatch + 50
	w := sound(t, many, 1, 1)
	if len(w.procs[0].working) != many {
		t.Errorf("has %d", len(w.procs[0].working))
	}
	w.start("m1")
	w.until(w.now + simTTL)
	w.happen(fault{Kind: leave, Who: 0})
	w.until(w.now + 4*simTTL)
	w.check()
	if w.failed != nil {
		t.Error(w.failed)
	}
}

func TestPlacement(t *testing.T) {
	for _, shards := range []int{1, 7, 64, 1024} {
		for n := 1; n <= 12; n++ {
			members := make([]string, n)
			for i := range members {
				members[i] = fmt.Sprintf("node-%d", i)
			}
			placed := cluster.Place(shards, members)
			load := make([]int, n)
			for _, m := range placed {
				load[m]++
			}
			if most := slices.Max(load); most > (shards+n-1)/n {
				t.Errorf("%d shards, %d members: one has %d", shards, n, most)
			}
			turned := slices.Clone(members)
			slices.Reverse(turned)
			for s, m := range cluster.Place(shards, turned) {
				if turned[m] != members[placed[s]] {
					t.Fatalf("%d shards, %d members: the order of names decides where %d is", shards, n, s)
				}
			}
			ideal := (shards + n) / (n + 1)
			if count := misplaced(shards, members, append(members, "another")); count > ideal+shards/6+1 {
				t.Errorf("%d shards, %d members and another: %d move, the new one's share is %d", shards, n, count, ideal)
			}
		}
	}
	if placed := cluster.Place(3, nil); !slices.Equal(placed, []int{-1, -1, -1}) {
		t.Errorf("without members: %v", placed)
	}
}
