package actors

import (
	"testing"

	"pgregory.net/rapid"
)

// TestIndexAgainstAMap holds the index against a map, with hashes that collide often. It is white-box because what it
// shows, that tags and deleted cells do not mislead, no outside behaviour brings about on purpose.
func TestIndexAgainstAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x index
		held := map[slot]uint64{}
		for at := range slot(rapid.IntRange(1, 400).Draw(t, "steps")) {
			hash := rapid.Uint64Range(0, 15).Draw(t, "shard")<<60 | rapid.Uint64Range(0, 20).Draw(t, "tag")
			if rapid.Bool().Draw(t, "add") {
				x.add(hash, at)
				held[at] = hash
			} else if len(held) > 0 {
				for s, h := range held {
					x.remove(h, s)
					delete(held, s)
					break
				}
			}
		}
		for s, h := range held {
			if got, ok := x.find(h, func(other slot) bool { return other == s }); !ok || got != s {
				t.Fatalf("slot %d is not found", s)
			}
		}
		total := 0
		for i := range x.shards {
			total += x.shards[i].live
		}
		if total != len(held) {
			t.Fatalf("%d live cells for %d slots", total, len(held))
		}
		if s, ok := x.find(1<<60|3, func(s slot) bool { _, known := held[s]; return !known }); ok {
			t.Fatalf("found slot %d, which was removed", s)
		}
	})
}
