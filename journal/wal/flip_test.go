package wal_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// wantCorrupt checks that an error names a file and an offset between two, both included.
func wantCorrupt(tb testing.TB, err error, file string, from, to int64) {
	tb.Helper()
	var found *journal.CorruptError
	if !errors.As(err, &found) || !errors.Is(err, journal.ErrCorrupt) {
		tb.Fatalf("%v, want damage of %s", err, file)
	}
	if found.File != file || found.Offset < from || found.Offset > to {
		tb.Fatalf("%v, want it in %s from %d to %d", err, file, from, to)
	}
}

// part is a range of a file in which every bit counts.
type part struct {
	file     string
	from, to int64
	tail     bool // it is the last group
}

func (p part) has(file string, at int64) bool { return p.file == file && p.from <= at && at < p.to }

// archive is a closed journal of two sparse segments, a sealed one and an unsealed one.
type archive struct {
	*disk
	records []journal.Record
	last    int // of records, those of the last group
	parts   []part
}

func newArchive(tb testing.TB) *archive {
	tb.Helper()
	var h history
	d := mustOpen(tb, vfs.NewMem(0), dir, wal.Config{SegmentBytes: 8 << 10}, nil)
	for len(h.groups) < 40 {
		if err := h.append(d, journal.Options{Sync: true}, 400, 203, 7); err != nil {
			tb.Fatal(err)
		}
	}
	before, live := h.bury(22, func(i int) bool { return i%9 != 8 })
	if err := d.Compact(before, live); err != nil {
		tb.Fatal(err)
	}
	records, err := replay(d)
	if err := errors.Join(err, h.check(d), d.Close()); err != nil {
		tb.Fatal(err)
	}
	a := &archive{disk: d, records: records, last: 3}
	err = wal.Inspect(dir, func(s wal.Segment) error {
		a.parts = append(a.parts, part{file: s.File, to: 64})
		switch s.State {
		case wal.StateSparse:
			a.addFrames(s)
		default:
			a.addGroups(s, h.groups)
		}
		if s.State != wal.StateActive {
			a.parts = append(a.parts, part{file: s.File, from: s.Bytes - 64, to: s.Bytes})
		}
		return nil
	}, wal.WithFS(d.fs))
	if err != nil {
		tb.Fatal(err)
	}
	a.parts[len(a.parts)-1].tail = true
	return a
}

// behind is where a record's frame ends.
func behind(at journal.Position) int64 { return int64(at.Offset) + 16 + (int64(at.Length)+7)/8*8 }

// addFrames adds the records of a sparse segment and the heads of the gaps between them.
func (a *archive) addFrames(s wal.Segment) {
	at := int64(64)
	for _, r := range a.records {
		if r.Position.Segment != s.Number {
			continue
		}
		if from := int64(r.Position.Offset); from > at {
			a.parts = append(a.parts, part{file: s.File, from: at, to: at + 16})
		}
		at = behind(r.Position)
		a.parts = append(a.parts, part{file: s.File, from: int64(r.Position.Offset), to: at})
	}
	if at < s.End {
		a.parts = append(a.parts, part{file: s.File, from: at, to: at + 16})
	}
}

func (a *archive) addGroups(s wal.Segment, groups []past) {
	for _, g := range groups {
		if len(g.at) > 0 && g.at[0].Segment == s.Number {
			a.parts = append(a.parts, part{
				file: s.File, from: int64(g.at[0].Offset) - 32, to: behind(g.at[len(g.at)-1]),
			})
		}
	}
}

// find returns the part that a byte belongs to, if there is one.
func (a *archive) find(file string, at int64) (part, bool) {
	i := slices.IndexFunc(a.parts, func(p part) bool { return p.has(file, at) })
	if i < 0 {
		return part{}, false
	}
	return a.parts[i], true
}

// flipped returns a copy of the archive's disk on which one byte differs.
func (a *archive) flipped(tb testing.TB, file string, at int64, mask byte) *vfs.Mem {
	tb.Helper()
	fs := a.fs.(*vfs.Mem).PowerCut(nil)
	data := contents(tb, fs, file)
	data[at] ^= mask
	put(tb, fs, file, data)
	return fs
}

// TestFlip flips bits. Where they count, opening or replay and Verify name the place; elsewhere, and in the last group,
// which nothing proves to have been whole, the journal opens. What it returns is never wrong.
func TestFlip(t *testing.T) {
	a := newArchive(t)
	segments := files(t, a.fs, "*.wal")
	rapid.Check(t, func(rt *rapid.T) {
		file := rapid.SampledFrom(segments).Draw(rt, "file")
		at := rapid.Int64Range(0, a.config.SegmentBytes-1).Draw(rt, "offset")
		if rapid.Bool().Draw(rt, "where it counts") {
			p := rapid.SampledFrom(a.parts).Draw(rt, "part")
			file, at = p.file, rapid.Int64Range(p.from, p.to-1).Draw(rt, "offset in it")
		}
		fs := a.flipped(t, file, at, rapid.Byte().Filter(func(b byte) bool { return b != 0 }).Draw(rt, "mask"))
		report, err := wal.Verify(dir, wal.WithFS(fs))
		if err != nil {
			rt.Fatalf("Verify: %v", err)
		}
		p, counts := a.find(file, at)
		if counts && !p.tail {
			if report.Verdict() != wal.Damaged {
				rt.Fatalf("Verify found nothing: %+v", report)
			}
			wantCorrupt(t, report.Damage[0], file, p.from, at)
			wantCorrupt(t, openAndReplay(fs, a), file, p.from, at)
			a.checkRepair(t, fs, p, at)
			return
		}
		if report.Verdict() == wal.Damaged {
			rt.Fatalf("Verify: %v", report.Damage[0])
		}
		want := a.records
		if p.tail {
			want = want[:len(want)-a.last]
		}
		j := mustOpen(t, fs, dir, a.config, a.salts)
		defer closeJournal(t, j)
		if found, err := replay(j); err != nil || len(found) != len(want) || !within(found, want) {
			rt.Fatalf("%d records, want %d: %v", len(found), len(want), err)
		}
	})
}

func openAndReplay(fs vfs.FS, a *archive) error {
	j, err := openDisk(fs, dir, a.config, a.salts)
	if err != nil {
		return err
	}
	_, err = replay(j)
	return errors.Join(err, j.Close())
}

// within says whether all that was found is in want, in the same order.
func within(found, want []journal.Record) bool {
	for _, w := range want {
		if len(found) > 0 && found[0].Position == w.Position &&
			found[0].Type == w.Type && bytes.Equal(found[0].Data, w.Data) {
			found = found[1:]
		}
	}
	return len(found) == 0
}

// checkRepair checks that a repair keeps what it cuts out and all the rest. At most the record that has the damaged
// byte is lost; with the head of the last segment, which has no seal to help out, that segment.
func (a *archive) checkRepair(t *testing.T, fs *vfs.Mem, p part, at int64) {
	t.Helper()
	broken := contents(t, fs, p.file)
	cuts, quarantine, err := wal.Repair(dir, wal.WithFS(fs), withSalts(a.salts))
	if err != nil {
		t.Fatalf("Repair: %v", err)
	}
	kept := slices.ContainsFunc(cuts, func(c wal.Cut) bool {
		from, to := c.Damage.Offset, c.Damage.Offset+c.Bytes
		if c.Damage.File != p.file || at < from || at >= to {
			return false
		}
		name, err := filepath.Rel(dir, filepath.Join(quarantine, c.Kept))
		return err == nil && bytes.Equal(contents(t, fs, name), broken[from:to])
	})
	if !kept {
		t.Fatalf("byte %d of %s is not in quarantine: %+v", at, p.file, cuts)
	}
	j := mustOpen(t, fs, dir, a.config, a.salts)
	defer closeJournal(t, j)
	found, err := replay(j)
	if err != nil || !within(found, a.records) {
		t.Fatalf("%d records after the repair: %v", len(found), err)
	}
	for _, r := range a.records {
		hit := r.Position.Segment == a.segment(p.file) && int64(r.Position.Offset) <= at && at < behind(r.Position)
		whole := p.from == 0 && p.file == a.parts[len(a.parts)-1].file && r.Position.Segment == a.segment(p.file)
		there := slices.ContainsFunc(found, func(f journal.Record) bool { return f.Position == r.Position })
		if !there && !hit && !whole {
			t.Fatalf("the record at %v is lost with byte %d of %s", r.Position, at, p.file)
		}
	}
	if _, err := j.Append(nil, []journal.Entry{{Type: 1, Data: []byte("on we go")}}, journal.Options{}); err != nil {
		t.Fatalf("Append after the repair: %v", err)
	}
}

// segment returns the number in a segment's name.
func (a *archive) segment(file string) uint32 {
	var number uint32
	for _, digit := range file[:10] {
		number = number*10 + uint32(digit-'0')
	}
	return number
}
