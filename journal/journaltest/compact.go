package journaltest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/hooktroupe/hooktroupe/journal"
)

// positions returns where records are.
func positions(all []written) []journal.Position {
	at := make([]journal.Position, len(all))
	for i, w := range all {
		at[i] = w.at
	}
	return at
}

// every returns each n-th record.
func every(n int, all []written) []written {
	var some []written
	for i := 0; i < len(all); i += n {
		some = append(some, all[i])
	}
	return some
}

// compacted checks that what is live is there, that what is not is there or not found, and that replay agrees.
func compacted(t *testing.T, j journal.Journal, f Features, all, live []written) {
	t.Helper()
	for _, w := range live {
		read(t, j, w)
	}
	alive := map[journal.Position]bool{}
	for _, at := range positions(live) {
		alive[at] = true
	}
	var found []written
	for _, w := range all {
		r, err := j.Read(w.at)
		switch {
		case errors.Is(err, journal.ErrNotFound) && !alive[w.at]:
			continue
		case err == nil && f.Exact && !alive[w.at]:
			t.Fatalf("%v is still there", w.at)
		case err == nil:
			err = w.same(r)
		}
		if err != nil {
			t.Fatalf("Read(%v): %v", w.at, err)
		}
		found = append(found, w)
	}
	equal(t, replay(t, j, journal.Position{}), found)
}

// testCompact: dead records go, live ones and all behind the position stay where they are. There are so many that what
// is given back is more than what an implementation may prepare meanwhile for the records to come.
func testCompact(t *testing.T, f Features) {
	for _, keep := range []int{1, 2, 10, 97, 100_000} {
		t.Run(fmt.Sprintf("1 of %d", keep), func(t *testing.T) {
			j := open(t, f, 0)
			all := addMany(t, j, 2400)
			split := 2000
			before, behind := all[:split], all[split:]
			live := every(keep, before)
			bytesBefore := j.Stats().Bytes
			if err := j.Compact(behind[0].at, positions(live)); err != nil {
				t.Fatalf("Compact: %v", err)
			}
			compacted(t, j, f, all, append(live, behind...))
			// What the first one kept for records to come, later ones find unused.
			for range 8 {
				if err := j.Compact(behind[0].at, positions(live)); err != nil {
					t.Fatalf("Compact again: %v", err)
				}
			}
			if keep > 10 && j.Stats().Bytes >= bytesBefore {
				t.Fatalf("%d bytes before compaction, %d after", bytesBefore, j.Stats().Bytes)
			}
			if f.Reopen == nil {
				return
			}
			closeJournal(t, j)
			again := f.Reopen(t, j)
			defer closeJournal(t, again)
			compacted(t, again, f, all, append(live, behind...))
		})
	}
}

// testCompactAgain: a second compaction drops more, and one that has nothing to do does nothing.
func testCompactAgain(t *testing.T, f Features) {
	j := open(t, f, 0)
	all := addMany(t, j, 600)
	for _, keep := range []int{1, 5, 25, 25, 125} {
		live := every(keep, all[:500])
		if err := j.Compact(all[500].at, positions(live)); err != nil {
			t.Fatalf("Compact: %v", err)
		}
		compacted(t, j, f, all, append(live, all[500:]...))
	}
	if err := j.Compact(journal.Position{}, nil); err != nil {
		t.Fatalf("Compact of nothing: %v", err)
	}
	more := add(t, j, 600, synced, 10)
	read(t, j, more[0])
}

// addMany appends about n records of 300 to 2000 bytes.
func addMany(t *testing.T, j journal.Journal, n int) []written {
	t.Helper()
	var all []written
	for len(all) < n {
		i := len(all)
		all = append(all, add(t, j, i, unsynced, 300+i%7*100, 500+i%13*100, 800+i%3*400)...)
	}
	if _, err := j.Append(nil, nil, synced); err != nil {
		t.Fatalf("Append: %v", err)
	}
	return all
}

// testBeside: Read, Stats and Compact beside Append; what is live is never missing.
func testBeside(t *testing.T, f Features) {
	const groups, keepLast = 300, 50
	j := open(t, f, 0)
	var latest atomic.Pointer[[]written] // the records that stay; replaced as a whole
	latest.Store(&[]written{})
	var running sync.WaitGroup
	done := make(chan struct{})
	beside := func(step func(recent []written) error) {
		running.Go(func() { // until the last group is appended
			for {
				if err := step(*latest.Load()); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 2 {
		beside(func(recent []written) error { return readRecent(j, recent) })
	}
	beside(func(recent []written) error {
		if s := j.Stats(); s.Bytes < 0 || s.Segments < 0 {
			return fmt.Errorf("stats %+v", s)
		}
		if len(recent) == 0 {
			return nil
		}
		return j.Compact(recent[0].at, nil)
	})
	all := []written{}
	for n := range groups {
		all = append(all, add(t, j, n*3, journal.Options{Sync: n%4 == 0}, 1000, 2000+n, 30)...)
		recent := all[max(0, len(all)-keepLast):]
		latest.Store(&recent)
	}
	close(done)
	running.Wait()
	for _, w := range *latest.Load() {
		read(t, j, w)
	}
}

// readRecent reads the newer half of the recent records, which no compaction under way may touch.
func readRecent(j journal.Journal, recent []written) error {
	for _, w := range recent[len(recent)/2:] {
		r, err := j.Read(w.at)
		if errors.Is(err, journal.ErrNotFound) {
			return nil // many groups were appended since recent was looked up
		}
		if err == nil {
			err = w.same(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// testClose: twice is once, and nothing else works afterwards.
func testClose(t *testing.T, f Features) {
	j := f.Open(t, 0)
	w := add(t, j, 0, unsynced, 10)[0]
	for range 2 {
		closeJournal(t, j)
	}
	_, appendErr := j.Append(nil, []journal.Entry{entry(1, 1)}, synced)
	_, readErr := j.Read(w.at)
	for name, err := range map[string]error{
		"Append": appendErr, "Read": readErr, "Compact": j.Compact(w.at, nil),
		"Replay": j.Replay(journal.Position{}, func(journal.Record) error { return nil }),
	} {
		if !errors.Is(err, journal.ErrClosed) {
			t.Errorf("%s after Close: %v, want ErrClosed", name, err)
		}
	}
	j.Stats()
}

// testReopen: what was appended is there after a Close, and the next goes behind it.
func testReopen(t *testing.T, f Features) {
	if f.Reopen == nil {
		t.Skip("nothing is left of a closed journal")
	}
	j := f.Open(t, 0)
	var all []written
	for n := range 5 {
		end := j.End()
		all = append(all, add(t, j, len(all), journal.Options{Sync: n%2 == 0}, 3000, n*5000, 17)...)
		closeJournal(t, j)
		j = f.Reopen(t, j)
		if j.End().Compare(end) < 0 {
			t.Fatalf("End went back from %v to %v", end, j.End())
		}
		equal(t, replay(t, j, journal.Position{}), all)
	}
	closeJournal(t, j)
}

// testSnapshots: the newest one, and all of it.
func testSnapshots(t *testing.T, f Features) {
	s := f.Snapshots(t, open(t, f, 0))
	if _, _, err := s.Load(); !errors.Is(err, journal.ErrNoSnapshot) {
		t.Fatalf("Load: %v, want ErrNoSnapshot", err)
	}
	for n, size := range []int{0, 1, 100, 3 << 20, 10} {
		covered := journal.Position{Segment: uint32(n + 1), Offset: uint32(n * 8), Length: 7}
		content := entry(n, size).Data
		save(t, s, covered, content)
		loaded(t, s, covered, content)
	}
}

func save(t *testing.T, s journal.Snapshots, covered journal.Position, content []byte) {
	t.Helper()
	err := s.Save(covered, func(out io.Writer) error {
		_, err := io.Copy(out, bytes.NewReader(content))
		return err
	})
	if err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func loaded(t *testing.T, s journal.Snapshots, covered journal.Position, content []byte) {
	t.Helper()
	at, in, err := s.Load()
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	got, err := io.ReadAll(in)
	if err := errors.Join(err, in.Close()); err != nil {
		t.Fatalf("read the snapshot: %v", err)
	}
	if at != covered || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes covering %v, want %d covering %v", len(got), at, len(content), covered)
	}
}

// testSnapshotFails: after an error the one before is still the newest.
func testSnapshotFails(t *testing.T, f Features) {
	s := f.Snapshots(t, open(t, f, 0))
	covered, content := journal.Position{Segment: 3, Offset: 64}, []byte("the one before")
	save(t, s, covered, content)
	err := s.Save(journal.Position{Segment: 4}, func(out io.Writer) error {
		_, err := out.Write(make([]byte, 1<<20))
		return errors.Join(err, io.ErrShortBuffer)
	})
	if !errors.Is(err, io.ErrShortBuffer) {
		t.Fatalf("Save: %v, want the error of write", err)
	}
	loaded(t, s, covered, content)
}
