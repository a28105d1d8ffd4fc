package actors

import "hash/maphash"

// index finds slots by a hash of what they hold. A cell is a slot and 32 bits of the hash, so that looking up touches no
// entry but the one that is looked for and growing touches none; and it grows shard by shard, so that no growth holds up
// the mailbox. A million tasks cost about fifteen megabytes.
type index struct{ shards [256]shard }

// shard is an open-addressing table with linear probing. Its length is a power of two.
type shard struct {
	cells []cell
	live  int
	used  int // live and deleted
}

// cell is the tag of a hash in the upper half, and a slot plus firstSlot in the lower; or emptyCell, or deletedCell.
type cell uint64

const (
	emptyCell   cell = 0
	deletedCell cell = 1
	firstSlot        = 2
)

func newCell(hash uint64, at slot) cell { return cell(tag(hash))<<32 | cell(at) + firstSlot }

// tag is the part of a hash that a cell keeps. The shard is told by the upper byte, the place in it by the tag.
func tag(hash uint64) uint32 { return uint32(hash) }

func (c cell) tag() uint32 { return uint32(c >> 32) }

func (c cell) slot() slot { return slot(uint32(c) - firstSlot) }

func (c cell) holds() bool { return uint32(c) >= firstSlot }

// seed makes the order of cells unpredictable to whoever chooses delivery IDs.
type seed struct{ maphash.Seed }

func newSeed() seed { return seed{maphash.MakeSeed()} }

func (s seed) of(b [16]byte) uint64 { return maphash.Comparable(s.Seed, b) }

func (x *index) find(hash uint64, equal func(slot) bool) (slot, bool) {
	s := &x.shards[hash>>56]
	if len(s.cells) == 0 {
		return 0, false
	}
	mask := uint32(len(s.cells) - 1)
	for i := tag(hash) & mask; s.cells[i] != emptyCell; i = (i + 1) & mask {
		if c := s.cells[i]; c.holds() && c.tag() == tag(hash) && equal(c.slot()) {
			return c.slot(), true
		}
	}
	return 0, false
}

// add puts in a slot that is not there. At most three quarters of the cells are in use.
func (x *index) add(hash uint64, at slot) {
	s := &x.shards[hash>>56]
	s.makeRoom(1)
	s.put(newCell(hash, at))
}

// hashed is a slot with the hash of what it holds.
type hashed struct {
	hash uint64
	slot slot
}

// addAll puts in many slots, shard by shard, so that a shard's cells are in a cache while they are filled. It says whether
// none of them is equal to another that was or is put in; equal is nil where that is not of interest.
func (x *index) addAll(slots []hashed, equal func(a, b slot) bool) (distinct bool) {
	var ends [len(x.shards)]int // of each shard's cells
	for _, h := range slots {
		ends[h.hash>>56]++
	}
	sum := 0
	for i, n := range ends {
		ends[i] = sum
		sum += n
	}
	cells := make([]cell, len(slots))
	for _, h := range slots {
		end := &ends[h.hash>>56]
		cells[*end] = newCell(h.hash, h.slot)
		*end++
	}
	distinct, sum = true, 0
	for i, end := range ends {
		s := &x.shards[i]
		s.makeRoom(end - sum)
		for _, c := range cells[sum:end] {
			if equal != nil && s.has(c, equal) {
				distinct = false
			}
			s.put(c)
		}
		sum = end
	}
	return distinct
}

// has says whether there is a slot equal to that of a cell.
func (s *shard) has(c cell, equal func(a, b slot) bool) bool {
	mask := uint32(len(s.cells) - 1)
	for i := c.tag() & mask; s.cells[i] != emptyCell; i = (i + 1) & mask {
		if other := s.cells[i]; other.holds() && other.tag() == c.tag() && equal(other.slot(), c.slot()) {
			return true
		}
	}
	return false
}

func (s *shard) put(c cell) {
	mask := uint32(len(s.cells) - 1)
	i := c.tag() & mask
	for s.cells[i] != emptyCell {
		i = (i + 1) & mask
	}
	s.cells[i] = c
	s.live++
	s.used++
}

// makeRoom sees to it that so many cells may be put in. Where there is too little room it drops deleted cells and makes room
// for as many again.
func (s *shard) makeRoom(cells int) {
	if 4*(s.used+cells) <= 3*len(s.cells) {
		return
	}
	size := 16
	for size < 2*(s.live+cells) {
		size *= 2
	}
	old := s.cells
	s.cells, s.live, s.used = make([]cell, size), 0, 0
	for _, c := range old {
		if c.holds() {
			s.put(c)
		}
	}
}

// remove takes out a slot that is there.
func (x *index) remove(hash uint64, at slot) {
	s := &x.shards[hash>>56]
	if len(s.cells) == 0 {
		return
	}
	mask := uint32(len(s.cells) - 1)
	for i := tag(hash) & mask; s.cells[i] != emptyCell; i = (i + 1) & mask {
		if s.cells[i] == newCell(hash, at) {
			s.cells[i] = deletedCell
			s.live--
			return
		}
	}
}
