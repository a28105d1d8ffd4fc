package actors

import "hash/maphash"

// index finds slots by a hash of what they hold. It keeps nothing but slot numbers, so that a million tasks cost about
// eight megabytes, and it grows shard by shard, so that no growth holds up the mailbox. What a slot holds is asked of the
// table: equal says whether it is what is looked for, hash gives the hash of what it holds.
type index struct {
	shards [256]shard
	hash   func(slot) uint64
}

// shard is an open-addressing table with linear probing. Its length is a power of two.
type shard struct {
	cells []uint32 // slot + firstSlot, emptyCell or deletedCell
	live  int
	used  int // live and deleted
}

const (
	emptyCell   = 0
	deletedCell = 1
	firstSlot   = 2
)

// seed makes the order of cells unpredictable to whoever chooses delivery IDs.
type seed struct{ maphash.Seed }

func newSeed() seed { return seed{maphash.MakeSeed()} }

func (s seed) of(b [16]byte) uint64 { return maphash.Comparable(s.Seed, b) }

func (x *index) find(hash uint64, equal func(slot) bool) (slot, bool) {
	s := &x.shards[hash>>56]
	if len(s.cells) == 0 {
		return 0, false
	}
	mask := uint64(len(s.cells) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		switch c := s.cells[i]; c {
		case emptyCell:
			return 0, false
		case deletedCell:
		default:
			if equal(slot(c - firstSlot)) {
				return slot(c - firstSlot), true
			}
		}
	}
}

// add puts in a slot that is not there. At most three quarters of the cells are in use.
func (x *index) add(hash uint64, at slot) {
	s := &x.shards[hash>>56]
	if 4*(s.used+1) > 3*len(s.cells) {
		x.rebuild(s)
	}
	s.put(hash, at)
	s.live++
	s.used++
}

func (s *shard) put(hash uint64, at slot) {
	mask := uint64(len(s.cells) - 1)
	i := hash & mask
	for s.cells[i] != emptyCell {
		i = (i + 1) & mask
	}
	s.cells[i] = uint32(at) + firstSlot
}

// rebuild drops deleted cells and makes room for at least half as many again.
func (x *index) rebuild(s *shard) {
	size := 16
	for size < 2*(s.live+1) {
		size *= 2
	}
	old := s.cells
	s.cells, s.used = make([]uint32, size), s.live
	for _, c := range old {
		if c >= firstSlot {
			s.put(x.hash(slot(c-firstSlot)), slot(c-firstSlot))
		}
	}
}

// remove takes out a slot that is there.
func (x *index) remove(hash uint64, at slot) {
	s := &x.shards[hash>>56]
	if len(s.cells) == 0 {
		return
	}
	mask := uint64(len(s.cells) - 1)
	for i := hash & mask; s.cells[i] != emptyCell; i = (i + 1) & mask {
		if s.cells[i] == uint32(at)+firstSlot {
			s.cells[i] = deletedCell
			s.live--
			return
		}
	}
}
