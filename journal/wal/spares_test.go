package wal_test

import (
	"runtime"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// TestSlowJournalFillsNothing: where many compactions come between two segments, dead segments come back all the same, and
// no file is filled with zeros in their place. Once nothing is appended any more, the disk is given back.
func TestSlowJournalFillsNothing(t *testing.T) {
	const segment, record, rounds = 64 << 10, 4000, 20
	d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: segment}, nil)
	defer closeJournal(t, d)
	h := &history{}
	compact := func() {
		t.Helper()
		if err := d.Compact(d.End(), nil); err != nil {
			t.Fatalf("Compact: %v", err)
		}
	}
	begin := func() journal.Position { // the next segment
		t.Helper()
		for first := d.End().Segment; d.End().Segment == first; compact() {
			h.mustAppend(t, d, record)
			for len(files(t, d.fs, "spare-*[0-9]")) < wal.DefaultSpareSegments {
				runtime.Gosched() // one is being filled
			}
		}
		return d.End()
	}
	begin()
	begin() // from here on there is a segment to use again
	before, from := d.Stats(), begin()
	for range rounds {
		begin()
	}
	after := d.Stats()
	if got := after.WrittenBytes - before.WrittenBytes; got > (rounds+1)*segment*3/2 {
		t.Errorf("%d bytes were written for %d segments of %d", got, d.End().Segment-from.Segment, segment)
	}
	if got := after.Recycled - before.Recycled; got < rounds {
		t.Errorf("%d of %d segments were used again", got, rounds)
	}
	for range 8 {
		compact()
	}
	if got := len(files(t, d.fs, "spare-*[0-9]")); got != wal.DefaultSpareSegments {
		t.Errorf("a journal that rests keeps %d spares", got)
	}
}

// TestDyingSegmentsAreLeft: a segment that was completed since the last compaction is not rewritten yet, for it may hold no
// live record by the next, and then its file can be used again; unless room is short.
func TestDyingSegmentsAreLeft(t *testing.T) {
	const segment = 8 << 10
	for _, test := range []struct {
		name      string
		budget    int64
		rewritten [3]uint64 // by the first compaction of all, the second, and the third
	}{
		{"no budget", 0, [3]uint64{1, 1, 2}},
		{"room", 40 * segment, [3]uint64{1, 1, 2}},
		{"little room", 6 * segment, [3]uint64{1, 2, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: segment, MaxBytes: test.budget}, nil)
			defer closeJournal(t, d)
			h := &history{}
			var live []journal.Position
			for i, want := range test.rewritten {
				if i < 2 {
					for first := d.End().Segment; d.End().Segment == first; {
						h.mustAppend(t, d, 700)
					}
					live = append(live, h.groupIn(uint32(i + 1)).at[0])
				}
				before := d.End()
				if err := d.Compact(before, live); err != nil {
					t.Fatalf("Compact: %v", err)
				}
				if got := d.Stats().Rewritten; got != want {
					t.Errorf("compaction %d: %d segments were rewritten, want %d", i+1, got, want)
				}
			}
			for _, at := range live {
				if _, err := d.Read(at); err != nil {
					t.Errorf("what lives is gone: %v", err)
				}
			}
		})
	}
}
