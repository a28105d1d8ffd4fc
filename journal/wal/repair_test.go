package wal_test

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// A damaged snapshot goes to quarantine, whole; the journal says from then on that it was repaired, and the records are
// as they were.
func TestRepairOfASnapshot(t *testing.T) {
	var h history
	d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: 8 << 10}, nil)
	h.mustAppend(t, d, 900, 1500, 3000, 4000)
	err := d.Snapshots().Save(d.End(), func(out io.Writer) error {
		_, err := io.WriteString(out, "the state")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if d.Repaired() {
		t.Error("never repaired, it says it was")
	}
	closeJournal(t, d)
	whole := contents(t, d.fs, "snapshot")
	for at := range whole {
		fs := d.fs.(*vfs.Mem).Kill()
		damaged := bytes.Clone(whole)
		damaged[at] ^= 0x10
		put(t, fs, "snapshot", damaged)
		cuts, quarantine, err := wal.Repair(dir, wal.WithFS(fs))
		if err != nil || len(cuts) != 1 || cuts[0].Damage.File != "snapshot" || cuts[0].Bytes != int64(len(damaged)) {
			t.Fatalf("byte %d: %+v, %v", at, cuts, err)
		}
		kept, err := filepath.Rel(dir, filepath.Join(quarantine, cuts[0].Kept))
		if err != nil || !bytes.Equal(contents(t, fs, kept), damaged) {
			t.Fatalf("byte %d: what was cut is not kept: %v", at, err)
		}
		j := mustOpen(t, fs.PowerCut(nil), dir, d.config, d.salts)
		if _, _, err := j.Snapshots().Load(); !errors.Is(err, journal.ErrNoSnapshot) || !j.Repaired() {
			t.Errorf("byte %d: after the repair: %v, repaired: %v", at, err, j.Repaired())
		}
		if err := h.first(len(h.groups)).check(j); err != nil {
			t.Errorf("byte %d: %v", at, err)
		}
		closeJournal(t, j)
		if cuts, _, err := wal.Repair(dir, wal.WithFS(fs)); err != nil || len(cuts) != 0 {
			t.Errorf("byte %d: repaired again: %+v, %v", at, cuts, err)
		}
	}
}

// A damaged segment is not compacted, and says so; those behind it are.
func TestCompactionGoesOnBehindDamage(t *testing.T) {
	var h history
	d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: 8 << 10}, nil)
	for d.End().Segment < 5 {
		h.mustAppend(t, d, 700, 100)
	}
	closeJournal(t, d)
	data := contents(t, d.fs, "0000000002.wal")
	data[h.groupIn(2).at[0].Offset+20] ^= 1
	put(t, d.fs, "0000000002.wal", data)
	d = d.again(t)
	defer closeJournal(t, d)
	live := []journal.Position{h.groupIn(2).at[0], h.groupIn(4).at[0]}
	if err := d.Compact(journal.Position{Segment: 5}, live); !errors.Is(err, journal.ErrCorrupt) {
		t.Fatalf("Compact: %v", err)
	}
	if got := files(t, d.fs, "*.wal"); len(got) != 3 || got[0] != "0000000002.wal" {
		t.Errorf("left are %v", got)
	}
	if s := d.Stats(); s.Rewritten != 1 || s.Recycled+s.Removed != 2 {
		t.Errorf("behind the damage nothing was compacted: %+v", s)
	}
	if r, err := d.Read(live[1]); err != nil || !same(r, h.groupIn(4).entries[0]) {
		t.Errorf("what lives is gone: %v", err)
	}
	if !bytes.Equal(contents(t, d.fs, "0000000002.wal"), data) {
		t.Error("the damaged segment has changed")
	}
}

// groupIn returns the first group in a segment.
func (h *history) groupIn(segment uint32) past {
	for _, g := range h.groups {
		if g.at[0].Segment == segment {
			return g
		}
	}
	return past{}
}
