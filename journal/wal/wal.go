// Package wal keeps a journal in segment files on disk, in the format of docs/FORMAT.md. It writes a group with one
// write and one fdatasync into blocks that were allocated and written before, looks after the files it needs ahead of
// time, and repairs nothing behind the owner's back: what is damaged is refused, and cut out only by Repair, which
// keeps it. It does not know what its records mean, and does not retry a failed write or sync.
//
// The one invariant is that of package journal; the order of writes that upholds it is in docs/FORMAT.md.
package wal

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Journal is a journal.Journal on disk. Open makes it.
type Journal struct {
	folder folder
	config Config
	lock   io.Closer
	spares *spares
	budget *budget
	torn   *journal.CorruptError // what Open cut off
	// repaired says that a repair has left its quarantine here.
	repaired bool

	appending sync.Mutex // held by Append and Close; guards what follows
	active    *segment   // the one that is written; nil until the first group after the last was sealed
	synced    uint32     // offset in active that is on stable storage
	sequence  uint64     // of the next group
	buf       []byte
	failure   error

	compacting sync.Mutex    // held by Compact; Close waits for it
	looked     uint32        // under compacting: the last segment that a compaction has looked at
	closing    chan struct{} // closed by Close: compaction stops at the next record

	mu       sync.RWMutex // guards what follows
	segments []*segment   // in order of their numbers
	closed   bool

	tail     atomic.Uint64 // segment number and offset of the next group's head
	counters counters
}

// counters are the parts of journal.Stats that only grow.
type counters struct {
	groups, records, syncs, written, recycled, rewritten, removed atomic.Uint64
}

var _ journal.Journal = (*Journal)(nil)

// End is where the first record of the next group goes if it fits into the segment.
func (j *Journal) End() journal.Position {
	tail := j.tail.Load()
	return journal.Position{Segment: uint32(tail >> 32), Offset: uint32(tail) + groupHeadBytes}
}

func (j *Journal) setTail(segment, offset uint32) { j.tail.Store(uint64(segment)<<32 | uint64(offset)) }

// TornTail says what Open cut off behind the last whole group; nil if there was nothing.
func (j *Journal) TornTail() *journal.CorruptError { return j.torn }

// Repaired says whether Repair has ever cut something out of the journal, and what it cut is still kept: records may be
// missing.
func (j *Journal) Repaired() bool { return j.repaired }

// Stats may be called at any time. While the journal is full for want of a spare segment, each call has another attempt
// made to prepare one, so that an owner who only watches Full sees it end.
func (j *Journal) Stats() journal.Stats {
	ready, failed := j.spares.count()
	s := j.stats(ready, failed)
	if s.Full {
		j.spares.retry()
	}
	return s
}

func (j *Journal) stats(ready int, failed bool) journal.Stats {
	j.mu.RLock()
	defer j.mu.RUnlock()
	s := journal.Stats{
		Segments:     len(j.segments) + ready,
		Bytes:        j.budget.total(),
		BudgetBytes:  j.config.MaxBytes,
		Groups:       j.counters.groups.Load(),
		Records:      j.counters.records.Load(),
		Syncs:        j.counters.syncs.Load(),
		WrittenBytes: j.counters.written.Load(),
		Recycled:     j.counters.recycled.Load(),
		Rewritten:    j.counters.rewritten.Load(),
		Removed:      j.counters.removed.Load(),
	}
	needed, growth := 1, int64(0)
	if !j.closed && j.mustRoll(groupHeadBytes+frameBytes(1)) {
		needed, growth = 2, j.config.SegmentBytes
	}
	s.Full = !j.budget.allows(growth, false) || ready < needed && failed
	return s
}

// mustRoll says whether a group of so many bytes needs a new segment; mu is held for reading.
func (j *Journal) mustRoll(size int64) bool {
	if len(j.segments) == 0 {
		return true
	}
	last := j.segments[len(j.segments)-1]
	return last.sealed || int64(last.end.Load())+size > int64(last.limit())
}

// table returns the segments as they are now.
func (j *Journal) table() ([]*segment, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return nil, journal.ErrClosed
	}
	return slices.Clone(j.segments), nil
}

// find returns the segment with a number, or nil.
func (j *Journal) find(number uint32) (*segment, error) {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return nil, journal.ErrClosed
	}
	i, found := slices.BinarySearchFunc(j.segments, number, func(s *segment, n uint32) int {
		return int(int64(s.head.number) - int64(n))
	})
	if !found {
		return nil, nil
	}
	return j.segments[i], nil
}

// Close waits for Append and Compact to return, syncs unless the journal has failed, and releases everything. The error
// says what may not be on stable storage; the journal is closed all the same.
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return nil
	}
	j.closed = true
	j.mu.Unlock()
	close(j.closing)
	j.compacting.Lock()
	defer j.compacting.Unlock()
	j.appending.Lock()
	defer j.appending.Unlock()
	err := j.failure
	if err == nil {
		err = j.sync()
	}
	return errors.Join(err, j.release())
}

// release closes every file and gives up the lock.
func (j *Journal) release() error {
	err := j.spares.stop()
	for _, s := range j.segments {
		if h := s.replace(nil, false); h != nil {
			<-h.idle
			err = errors.Join(err, h.Close())
		}
	}
	return errors.Join(err, j.lock.Close())
}
