package wal

import (
	"sync"
	"sync/atomic"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
)

// segment is one segment file in use. Its head and name never change; what it holds grows while it is the one that is
// written, and is fixed once it is sealed.
type segment struct {
	head segmentHead
	key  key
	end  atomic.Uint32 // offset behind the last group that was written

	// For the goroutine that appends until the segment is sealed, for the one that compacts afterwards.
	next            uint64 // sequence number of the group after the last
	groups, records uint32

	// For all, under Journal.mu.
	sealed bool
	held   int64 // bytes of disk

	mu   sync.Mutex // guards what follows
	open *handle    // nil once the segment was dropped or the journal closed
}

// handle is one opening of a segment's file, shared by those who read it. Compaction takes it away from the segment;
// readers that have it go on, and whoever wants the file for something else waits until they are done.
type handle struct {
	vfs.File
	owner  *segment
	sparse bool
	users  int           // under owner.mu
	taken  bool          // under owner.mu
	idle   chan struct{} // closed when the handle was taken away and the last user is gone
}

func newSegment(head segmentHead, file vfs.File) *segment {
	s := &segment{head: head, key: newKey(head.salt), next: head.first, held: head.size}
	s.end.Store(headBytes)
	s.replace(file, head.sparse)
	return s
}

func (s *segment) name() string { return segmentName(s.head.number) }

// limit is where groups must end.
func (s *segment) limit() uint32 { return uint32(s.head.size - sealBytes) }

// extent is for a sealed segment, or for one that nobody appends to; sparse is that of the handle.
func (s *segment) extent(sparse bool) extent {
	return extent{sparse: sparse, end: s.end.Load(), first: s.head.first, next: s.next}
}

// seal is the mark that ends the segment.
func (s *segment) seal() seal {
	return seal{
		number: s.head.number, end: s.end.Load(), salt: s.head.salt, next: s.next,
		groups: s.groups, records: s.records, held: s.held,
	}
}

// acquire returns the file for reading, or nil if the segment was dropped. Every handle must be released.
func (s *segment) acquire() *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil {
		s.open.users++
	}
	return s.open
}

// isSparse says whether the segment was rewritten.
func (s *segment) isSparse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open != nil && s.open.sparse
}

func (h *handle) release() {
	h.owner.mu.Lock()
	defer h.owner.mu.Unlock()
	h.users--
	if h.taken && h.users == 0 {
		close(h.idle)
	}
}

// replace puts another file, or none, in the place of the segment's and returns the one before, which is no longer
// handed out. Its idle channel closes when nobody reads it any more.
func (s *segment) replace(file vfs.File, sparse bool) *handle {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.open
	s.open = nil
	if file != nil {
		s.open = &handle{File: file, owner: s, sparse: sparse, idle: make(chan struct{})}
	}
	if old != nil {
		old.taken = true
		if old.users == 0 {
			close(old.idle)
		}
	}
	return old
}
