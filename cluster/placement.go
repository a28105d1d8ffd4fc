package cluster

import (
	"slices"
	"strings"
)

// Place says for each shard which of the members, by index, is to have it: -1 where there are none. It depends on the set
// of names only, not on their order, so all that see the same members agree. Each member gets its share, rounded up, at
// most. When a member comes or goes, few shards move beyond those that it takes or leaves.
//
// It is rendezvous hashing with bounded loads: pairs of shard and member are served by falling weight, while the member has
// room.
func Place(shards int, members []string) []int {
	placed := make([]int, shards)
	for i := range placed {
		placed[i] = -1
	}
	if len(members) == 0 {
		return placed
	}
	type pair struct {
		weight uint64
		shard  int
		member int
	}
	pairs := make([]pair, 0, shards*len(members))
	for m, name := range members {
		seed := hash(name)
		for s := range shards {
			pairs = append(pairs, pair{mix(seed + uint64(s)*0x9e3779b97f4a7c15), s, m})
		}
	}
	slices.SortFunc(pairs, func(a, b pair) int {
		switch {
		case a.weight > b.weight:
			return -1
		case a.weight < b.weight:
			return 1
		case a.shard != b.shard:
			return a.shard - b.shard
		default:
			return strings.Compare(members[a.member], members[b.member])
		}
	})
	room := make([]int, len(members))
	for m := range room {
		room[m] = (shards + len(members) - 1) / len(members)
	}
	for _, p := range pairs {
		if placed[p.shard] < 0 && room[p.member] > 0 {
			placed[p.shard] = p.member
			room[p.member]--
		}
	}
	return placed
}

// hash is FNV-1a, 64 bits: the same in every build of every version.
func hash(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// mix spreads neighbouring numbers over all 64 bits (the finalizer of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
