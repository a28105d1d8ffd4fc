package wal_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

var (
	fresh   = journal.Options{Sync: true}
	reserve = journal.Options{Sync: true, Reserve: true}
)

// fill appends groups of one record until the journal is full, and returns how many.
func (h *history) fill(tb testing.TB, j journal.Journal, opts journal.Options, size int) int {
	tb.Helper()
	for n := 0; ; n++ {
		err := h.append(j, opts, size)
		if errors.Is(err, journal.ErrFull) {
			return n
		}
		if err != nil {
			tb.Fatalf("Append: %v", err)
		}
	}
}

// segmentBytes is what all segments take, spares not included.
func segmentBytes(tb testing.TB, fs vfs.FS) (total int) {
	tb.Helper()
	for _, name := range files(tb, fs, "*.wal") {
		total += len(contents(tb, fs, name))
	}
	return total
}

// TestHighWater: beyond the mark there is room for the reserve only, and beyond the budget for nothing. A group that is
// too large for any segment counts with its own size. Compaction gives the room back, to fresh groups too.
func TestHighWater(t *testing.T) {
	const segment, budget = 8 << 10, 16 * 8 << 10
	for _, test := range []struct {
		name string
		mark float64
		size int
		full int // how many bytes of segments that is
	}{
		{"half", 0.5, 1000, budget / 2},
		{"default", 0, 1000, budget * 9 / 10},
		{"all but the reserve", 1, 1000, budget},
		{"large groups", 0.5, 10_000, budget / 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := wal.Config{SegmentBytes: segment, MaxBytes: budget, HighWater: test.mark}
			d := mustOpen(t, vfs.NewMem(0), dir, config, nil)
			defer closeJournal(t, d)
			h := &history{}
			within := func() {
				t.Helper()
				if got := d.Stats().Bytes; got > budget {
					t.Fatalf("%d bytes of a budget of %d", got, budget)
				}
			}
			for range 3 {
				h.fill(t, d, fresh, test.size)
				within()
				if got := segmentBytes(t, d.fs); got > test.full || got < test.full-2*segment {
					t.Fatalf("fresh groups fill %d bytes, want %d at most and 2 segments less at least", got, test.full)
				}
				if n := h.fill(t, d, reserve, test.size); n == 0 {
					t.Fatal("nothing is left for the reserve")
				}
				within()
				if err := h.append(d, fresh, 1); !errors.Is(err, journal.ErrBudget) || !d.Stats().Full {
					t.Fatalf("Append beyond the mark: %v, want ErrBudget", err)
				}
				before, live := h.bury(len(h.groups)-1, func(int) bool { return true })
				if err := d.Compact(before, live); err != nil {
					t.Fatalf("Compact: %v", err)
				}
				if d.Stats().Full {
					t.Fatal("full after compaction")
				}
				h.mustAppend(t, d, test.size, test.size)
			}
			if err := h.check(d); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestBudgetBeside: while compaction takes segments away and appends take them into use, the budget is kept at every
// moment.
func TestBudgetBeside(t *testing.T) {
	const segment, budget, groups = 8 << 10, 6 * 8 << 10, 200
	d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: segment, MaxBytes: budget}, nil)
	defer closeJournal(t, d)
	done := make(chan struct{})
	var beside sync.WaitGroup
	beside.Go(func() { // until all groups are appended
		for {
			select {
			case <-done:
				return
			default:
			}
			if err := d.Compact(d.End(), nil); err != nil {
				t.Errorf("Compact: %v", err)
			}
			onDisk := len(files(t, d.fs, "[s0-9]*")) * segment // segments, spares, and what is becoming one
			if got := d.Stats().Bytes; got > budget || onDisk > budget {
				t.Errorf("%d bytes, %d on disk, of a budget of %d", got, onDisk, budget)
			}
		}
	})
	h := &history{}
	for n := 0; n < groups; {
		switch err := h.append(d, fresh, 1500); {
		case err == nil:
			n++
		case !errors.Is(err, journal.ErrFull):
			t.Errorf("Append: %v", err)
			n = groups
		}
	}
	close(done)
	beside.Wait()
}
