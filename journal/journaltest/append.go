package journaltest

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
)

// sizes are those at which frames, pages and buffers end.
var sizes = []int{0, 1, 7, 8, 9, 15, 16, 17, 4000, 4096, 5000, 70_000}

// testPositions: positions grow, follow what dst had, lie at or behind End, and lead back to the record.
func testPositions(t *testing.T, f Features) {
	j := open(t, f, 0)
	var all []written
	for n := range 40 {
		end := j.End()
		group := add(t, j, len(all), journal.Options{Sync: n%3 == 0}, sizes[n%len(sizes)], sizes[(n*7)%len(sizes)])
		if group[0].at.Compare(end) < 0 {
			t.Fatalf("appended at %v, before End %v", group[0].at, end)
		}
		all = append(all, group...)
		if last := all[len(all)-1].at; last.Compare(j.End()) >= 0 {
			t.Fatalf("End %v is not behind %v", j.End(), last)
		}
	}
	for i, w := range all {
		if i > 0 && w.at.Compare(all[i-1].at) <= 0 {
			t.Fatalf("%v after %v", w.at, all[i-1].at)
		}
		if int(w.at.Length) != len(w.data) || w.at.IsZero() {
			t.Fatalf("position %v for %d bytes", w.at, len(w.data))
		}
		read(t, j, w)
	}
	dst := []journal.Position{{Segment: 99}}
	dst, err := j.Append(dst, []journal.Entry{entry(1, 1)}, synced)
	if err != nil || len(dst) != 2 || dst[0].Segment != 99 {
		t.Fatalf("Append to a slice that has one: %v, %v", dst, err)
	}
}

// testReplay: from any position on, every record once and in order; the function's error ends it.
func testReplay(t *testing.T, f Features) {
	j := open(t, f, 0)
	equal(t, replay(t, j, journal.Position{}), nil)
	var all []written
	for n := range 30 {
		all = append(all, add(t, j, len(all), unsynced, sizes[n%len(sizes)], 100, sizes[(n*5)%len(sizes)])...)
	}
	equal(t, replay(t, j, journal.Position{}), all)
	equal(t, replay(t, j, j.End()), nil)
	for i := 0; i < len(all); i += 7 {
		equal(t, replay(t, j, all[i].at), all[i:])
	}
	calls := 0
	err := j.Replay(all[3].at, func(journal.Record) error {
		calls++
		return io.ErrClosedPipe
	})
	if !errors.Is(err, io.ErrClosedPipe) || calls != 1 {
		t.Fatalf("Replay: %v after %d calls", err, calls)
	}
}

// testEmptyGroup: a group without records writes none.
func testEmptyGroup(t *testing.T, f Features) {
	j := open(t, f, 0)
	for _, opts := range []journal.Options{{}, {Sync: true}, {Reserve: true}, {Sync: true, Reserve: true}} {
		if at, err := j.Append(nil, nil, opts); err != nil || len(at) != 0 {
			t.Fatalf("Append of nothing: %v, %v", at, err)
		}
		add(t, j, 0, unsynced, 10)
	}
	if got := len(replay(t, j, journal.Position{})); got != 4 {
		t.Fatalf("%d records, want 4", got)
	}
	if s := j.Stats(); s.Groups != 4 || s.Records != 4 {
		t.Fatalf("Stats count %d groups, %d records", s.Groups, s.Records)
	}
}

// testRefusals: a group with one record that cannot be is refused whole, and harms nothing.
func testRefusals(t *testing.T, f Features) {
	j := open(t, f, 0)
	before := add(t, j, 0, synced, 100)
	end := j.End()
	large := journal.Entry{Type: 1, Data: make([]byte, journal.MaxRecordBytes+1)}
	for _, refusal := range []struct {
		name  string
		group []journal.Entry
		want  error
	}{
		{"too large", []journal.Entry{entry(1, 10), large}, journal.ErrTooLarge},
		{"too many bytes", slices.Repeat([]journal.Entry{{Type: 1, Data: large.Data[1:]}}, 17), journal.ErrTooLarge},
		{"no type", []journal.Entry{entry(1, 10), {Data: []byte("x")}}, journal.ErrInvalid},
	} {
		if at, err := j.Append(nil, refusal.group, synced); !errors.Is(err, refusal.want) || len(at) != 0 {
			t.Fatalf("%s: %v, %v", refusal.name, at, err)
		}
		if j.End() != end {
			t.Fatalf("%s: End moved from %v to %v", refusal.name, end, j.End())
		}
	}
	after := add(t, j, 2, synced, 100)
	equal(t, replay(t, j, journal.Position{}), append(before, after...))
}

// testNotFound: where nothing was written there is nothing.
func testNotFound(t *testing.T, f Features) {
	j := open(t, f, 0)
	missing(t, j, journal.Position{})
	missing(t, j, j.End())
	last := add(t, j, 0, synced, 100)[0].at
	missing(t, j, journal.Position{})
	missing(t, j, j.End())
	missing(t, j, journal.Position{Segment: last.Segment + 1, Offset: last.Offset, Length: last.Length})
	missing(t, j, journal.Position{Segment: last.Segment, Offset: last.Offset + 1<<20, Length: 1})
}

// testBudget: without the reserve the journal is full first, with it later; neither harms what is there, and compaction
// makes room.
func testBudget(t *testing.T, f Features) {
	j := open(t, f, f.Budget)
	if s := j.Stats(); s.BudgetBytes != f.Budget || s.Full {
		t.Fatalf("Stats of an empty journal: %+v", s)
	}
	all := fill(t, j, nil, synced, 1<<10)
	if len(all) < 100 || len(all) > 10_000 {
		t.Fatalf("%d records of 1 KiB fill a budget of %d", len(all), f.Budget)
	}
	all = fill(t, j, all, unsynced, 1)
	if !j.Stats().Full {
		t.Fatal("Stats do not say that the journal is full")
	}
	more := fill(t, j, all, journal.Options{Sync: true, Reserve: true}, 1<<10)
	if len(more) == len(all) {
		t.Fatal("nothing is left for the reserve")
	}
	if _, err := tryAdd(j, 0, synced, 1<<10); !errors.Is(err, journal.ErrBudget) {
		t.Fatalf("Append without the reserve: %v, want ErrBudget", err)
	}
	equal(t, replay(t, j, journal.Position{}), more)
	if s := j.Stats(); s.Bytes > f.Budget {
		t.Fatalf("%d bytes of a budget of %d", s.Bytes, f.Budget)
	}
	last := more[len(more)-1]
	if err := j.Compact(last.at, nil); err != nil {
		t.Fatalf("Compact: %v", err)
	}
	if j.Stats().Full {
		t.Fatal("still full after compaction")
	}
	add(t, j, len(more), synced, 1<<10)
	read(t, j, last)
}

// fill appends records of a size until the journal is full.
func fill(t *testing.T, j journal.Journal, all []written, opts journal.Options, size int) []written {
	t.Helper()
	for {
		group, err := tryAdd(j, len(all), opts, size)
		if errors.Is(err, journal.ErrFull) {
			return all
		}
		if err != nil {
			t.Fatalf("Append: %v", err)
		}
		all = append(all, group...)
	}
}
