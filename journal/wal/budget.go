package wal

import (
	"fmt"
	"sync"

	"github.com/hooktroupe/hooktroupe/journal"
)

// budget counts the bytes of disk that segments and spares take, so that at no moment they take more than
// Config.MaxBytes. A file is claimed before it is made and freed when it is gone; between segments and spares it moves
// without being counted twice or not at all.
type budget struct {
	config Config

	mu       sync.Mutex // guards what follows
	segments int64      // of those in the journal's table
	others   int64      // of spares, and of files on their way from or to them
}

// claim counts a file that is to be made, or is journal.ErrBudget if there is no room for it.
func (b *budget) claim(bytes int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if total := b.segments + b.others; b.config.MaxBytes > 0 && total+bytes > b.config.MaxBytes {
		return fmt.Errorf("%w: %d more than the %d of %d bytes", journal.ErrBudget, bytes, total, b.config.MaxBytes)
	}
	b.others += bytes
	return nil
}

// change adds to what segments and what others take; a file that becomes a segment is added to one and taken from the
// other.
func (b *budget) change(segments, others int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.segments += segments
	b.others += others
}

// free says that a file that is no segment is gone.
func (b *budget) free(bytes int64) { b.change(0, -bytes) }

// total is what lies on disk.
func (b *budget) total() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.segments + b.others
}

// halfFree says whether no more than half of the budget is used.
func (b *budget) halfFree() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.config.MaxBytes == 0 || 2*(b.segments+b.others) <= b.config.MaxBytes
}

// allows says whether the segments may grow by so many bytes, with or without the reserve.
func (b *budget) allows(growth int64, reserve bool) bool {
	limit := float64(b.config.MaxBytes)
	if !reserve {
		limit *= b.config.HighWater
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.config.MaxBytes == 0 || float64(b.segments+growth) <= limit
}
