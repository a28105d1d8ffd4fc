package wal_test

import (
	"bytes"
	"io"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// contents returns what a file of the journal has.
func contents(tb testing.TB, fs vfs.FS, name string) []byte {
	tb.Helper()
	file, err := fs.Open(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	size, err := file.Size()
	if err != nil {
		tb.Fatal(err)
	}
	data, err := io.ReadAll(io.NewSectionReader(file, 0, size))
	if err != nil || file.Close() != nil {
		tb.Fatalf("read %s: %v", name, err)
	}
	return data
}

// put makes a file of the journal have this content and no more.
func put(tb testing.TB, fs vfs.FS, name string, data []byte) {
	tb.Helper()
	file, err := fs.Create(filepath.Join(dir, name))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := file.WriteAt(data, 0); err != nil {
		tb.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		tb.Fatal(err)
	}
	if err := file.Close(); err != nil {
		tb.Fatal(err)
	}
}

// files returns the names in the journal's folder that a pattern matches.
func files(tb testing.TB, fs vfs.FS, pattern string) []string {
	tb.Helper()
	names, err := fs.List(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		matched, err := filepath.Match(pattern, name)
		return err != nil || !matched
	})
}

// recycled returns a closed journal whose last segment lies on what another segment left behind, and its history.
func recycled(t *testing.T) (*disk, *history) {
	t.Helper()
	h := &history{}
	d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: 8 << 10}, nil)
	h.mustAppend(t, d, 900, 1500, 700, 1200, 300, 2000)
	closeJournal(t, d)
	for _, spare := range files(t, d.fs, "spare-*") {
		put(t, d.fs, spare, contents(t, d.fs, "0000000001.wal"))
	}
	d = d.again(t)
	h.mustAppend(t, d, 1500, 400, 1300, 1, 250) // up to the end of a page: the rest of it was zeroed
	closeJournal(t, d)
	return d, h
}

// TestCutAnywhere writes a group and takes it back, from each of its bytes on, as a crash may: the file ends there, or
// what follows is zero, or what was there before. The groups before it stay, and the journal goes on behind them.
func TestCutAnywhere(t *testing.T) {
	d, h := recycled(t)
	const name = "0000000002.wal"
	before := contents(t, d.fs, name)
	d = d.again(t)
	if err := h.append(d, journal.Options{Sync: true}, 300, 1, 90); err != nil {
		t.Fatal(err)
	}
	end := int(d.End().Offset) - 32
	closeJournal(t, d)
	after := contents(t, d.fs, name)
	last := h.groups[len(h.groups)-1]
	begin := int(last.at[0].Offset) - 32
	if len(bytes.Trim(before[begin:end], "\x00")) == 0 {
		t.Fatal("there was nothing before")
	}
	for _, test := range []struct {
		name string
		rest func(from int) []byte
	}{
		{"the file ends", func(int) []byte { return nil }},
		{"zeros follow", func(from int) []byte { return make([]byte, len(after)-from) }},
		{"old bytes follow", func(from int) []byte { return before[from:] }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for at := begin; at <= end; at++ {
				left := slices.Concat(after[:at], test.rest(at))
				want := h.first(len(h.groups) - 1)
				if whole := slices.Concat(left, make([]byte, len(after)))[:end]; bytes.Equal(whole, after[:end]) {
					want = h.first(len(h.groups))
				}
				checkCut(t, d, name, left, want)
			}
		})
	}
}

// checkCut opens the journal with other content in its last segment, twice, and expects a history.
func checkCut(t *testing.T, d *disk, name string, left []byte, want *history) {
	t.Helper()
	fs := d.fs.(*vfs.Mem).PowerCut(nil)
	put(t, fs, name, left)
	report, err := wal.Verify(dir, wal.WithFS(fs))
	if err != nil || report.Verdict() == wal.Damaged {
		t.Fatalf("%d bytes left: Verify: %v, %+v", len(left), err, report)
	}
	for range 2 {
		j := mustOpen(t, fs, dir, d.config, d.salts)
		if err := want.check(j); err != nil {
			t.Fatalf("%d bytes left: %v", len(left), err)
		}
		want.mustAppend(t, j, 40)
		closeJournal(t, j)
	}
	if size := len(contents(t, fs, name)); int64(size) != d.config.SegmentBytes {
		t.Fatalf("%d bytes left: the segment's size is %d", len(left), size)
	}
}

// A group in the middle that is damaged is no torn tail: the heads of those behind it prove that it was whole, even if
// the last one is torn. What is whole of them stays after a repair.
func TestDamageBeforeATornTail(t *testing.T) {
	const name = "0000000002.wal"
	for _, torn := range []bool{false, true} {
		d, h := recycled(t)
		data := contents(t, d.fs, name)
		middle, last := h.groups[len(h.groups)-2].at[0], h.groups[len(h.groups)-1].at[0]
		data[middle.Offset+16] ^= 1
		if torn {
			data[last.Offset+16] ^= 1
		}
		put(t, d.fs, name, data)
		from := int64(middle.Offset) - 32
		_, err := openDisk(d.fs, dir, d.config, d.salts)
		wantCorrupt(t, err, name, from, int64(middle.Offset))
		report, err := wal.Verify(dir, wal.WithFS(d.fs))
		if err != nil || len(report.Damage) == 0 {
			t.Fatalf("Verify: %v, %+v", err, report)
		}
		wantCorrupt(t, report.Damage[0], name, from, int64(middle.Offset))
		if _, _, err := wal.Repair(dir, wal.WithFS(d.fs)); err != nil {
			t.Fatalf("Repair: %v", err)
		}
		want := h.first(len(h.groups) - 2)
		if !torn {
			want.groups = append(want.groups, h.groups[len(h.groups)-1])
		}
		d = d.again(t)
		if err := want.check(d); err != nil {
			t.Fatalf("torn: %t: %v", torn, err)
		}
		want.mustAppend(t, d, 5)
		closeJournal(t, d)
	}
}

// A disk that lost what it had confirmed leaves a journal that ends before what the snapshot covers. What is appended then
// lies behind that, where a replay from the snapshot finds it.
func TestGroupsGoBehindWhatTheSnapshotCovers(t *testing.T) {
	var h history
	d := mustOpen(t, vfs.NewMem(0), dir, wal.Config{SegmentBytes: 64 << 10}, nil)
	h.mustAppend(t, d, 900)
	lossy := d.fs.(*vfs.Mem).PowerCut(nil)
	h.mustAppend(t, d, 300, 400)
	covered := d.End()
	nothing := func(io.Writer) error { return nil }
	if err := d.Snapshots().Save(covered, nothing); err != nil {
		t.Fatal(err)
	}
	put(t, lossy, "snapshot", contents(t, d.fs, "snapshot"))
	closeJournal(t, d)

	d.fs = lossy
	d = d.again(t)
	if d.TornTail() == nil {
		t.Error("nothing is said of what was lost")
	}
	if d.End().Compare(covered) <= 0 {
		t.Errorf("the journal goes on at %v, the snapshot covers it up to %v", d.End(), covered)
	}
	at, err := d.Append(nil, []journal.Entry{{Type: 1, Data: []byte("after")}}, journal.Options{Sync: true})
	if err != nil {
		t.Fatal(err)
	}
	closeJournal(t, d)
	d = d.again(t)
	defer closeJournal(t, d)
	var found []journal.Position
	if err := d.Replay(covered, func(r journal.Record) error { found = append(found, r.Position); return nil }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found, at) {
		t.Errorf("from the snapshot on there are %v, want %v", found, at)
	}
}
