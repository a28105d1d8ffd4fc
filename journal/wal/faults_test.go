package wal_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/journal/wal"
)

// life is one journal through everything that happens to it, on a disk of which one operation fails. Its steps return
// an error only where the journal breaks its word.
type life struct {
	disk    *vfs.Mem
	failing *vfs.Failing
	fault   error
	salts   atomic.Uint64
	j       *disk
	h       history
	failed  bool            // the journal said so
	saved   string          // content of the newest snapshot that was confirmed
	tried   map[string]bool // of snapshots that were not
}

func newLife(op vfs.Op, nth int, fault error) *life {
	l := &life{disk: vfs.NewMem(0), fault: fault, tried: map[string]bool{}}
	l.failing = vfs.NewFailing(l.disk)
	l.failing.Fail(op, nth, 1, fault)
	return l
}

// steps are a life: segments begin and end, die, are recycled and rewritten; one group gets a segment of its own.
func (l *life) steps() []func() error {
	appends := slices.Repeat([]func() error{l.append}, 8)
	return slices.Concat(
		[]func() error{l.open}, appends, []func() error{l.save, l.appendLarge}, appends,
		[]func() error{l.compact, l.append, l.compact}, appends, []func() error{l.save, l.close, l.open}, appends,
		[]func() error{l.compact, l.close},
	)
}

// run takes steps until enough says so or the life ends.
func (l *life) run(enough func() bool) error {
	for i, step := range l.steps() {
		if enough() {
			return nil
		}
		if err := step(); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
	}
	return nil
}

// open opens the journal, a second time if the fault hit the first.
func (l *life) open() error {
	for {
		j, err := openDisk(l.failing, dir, wal.Config{SegmentBytes: 8 << 10}, &l.salts)
		if err == nil {
			if err = l.h.check(j); err == nil {
				l.j, l.failed = j, false
				return nil
			}
			if closeErr := j.Close(); closeErr != nil {
				return errors.Join(err, closeErr)
			}
		}
		if !errors.Is(err, l.fault) || errors.Is(err, journal.ErrCorrupt) {
			return err
		}
	}
}

func (l *life) append() error {
	n := l.h.count
	return l.appendGroup(journal.Options{Sync: n%3 != 1, Reserve: n%4 == 0}, 300+n%5*250, 1+n%90)
}

func (l *life) appendLarge() error { return l.appendGroup(journal.Options{Sync: true}, 10_000) }

// appendGroup holds the journal to its errors: no room is said only where there is none, and harms nothing; after any
// other error all is over.
func (l *life) appendGroup(opts journal.Options, sizes ...int) error {
	if l.failed {
		return l.stillFailed()
	}
	err := l.h.append(l.j, opts, sizes...)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, journal.ErrFull) && errors.Is(err, syscall.ENOSPC):
		if err := l.h.append(l.j, opts, sizes...); err != nil {
			return fmt.Errorf("there is room, but: %w", err)
		}
		return nil
	case errors.Is(err, journal.ErrFailed) && errors.Is(err, l.fault):
		l.failed = true
		return l.stillFailed()
	}
	return fmt.Errorf("unexpected: %w", err)
}

// stillFailed appends what must not be appended: the history does not know it.
func (l *life) stillFailed() error {
	for _, group := range [][]journal.Entry{nil, {{Type: 1, Data: []byte("after the failure")}}} {
		if _, err := l.j.Append(nil, group, journal.Options{Sync: true}); !errors.Is(err, journal.ErrFailed) {
			return fmt.Errorf("the journal has failed, but Append says: %w", err)
		}
	}
	return nil
}

func (l *life) save() error {
	content := fmt.Sprintf("the state after %d records", l.h.count)
	err := l.j.Snapshots().Save(journal.Position{Segment: 1}, func(out io.Writer) error {
		_, err := io.WriteString(out, content)
		return err
	})
	if err == nil {
		l.saved = content
		clear(l.tried)
		return nil
	}
	l.tried[content] = true
	return l.excuse(err)
}

// compact lets three quarters of the groups die, but for a few.
func (l *life) compact() error {
	if l.failed {
		return nil // where the last group is, nobody knows
	}
	before, live := l.h.bury(len(l.h.groups)*3/4, func(i int) bool { return i%11 != 10 })
	return l.excuse(l.j.Compact(before, live))
}

func (l *life) close() error {
	err := l.j.Close()
	if err == nil {
		l.h.confirm()
	}
	return l.excuse(err)
}

// excuse lets pass what the fault explains.
func (l *life) excuse(err error) error {
	if errors.Is(err, l.fault) {
		return nil
	}
	return err
}

// survives checks what a power cut leaves, and that the journal goes on from there.
func (l *life) survives(chance *rand.Rand) error {
	after := l.disk.PowerCut(chance)
	h := l.h.first(len(l.h.groups))
	if err := l.loads(after); err != nil {
		return err
	}
	for range 2 { // the second time with what was appended
		j, err := openDisk(after, dir, wal.Config{SegmentBytes: 8 << 10}, &l.salts)
		if err != nil {
			return err
		}
		err = h.check(j)
		if err == nil {
			err = h.append(j, journal.Options{Sync: true}, 3000, 20)
		}
		if err := errors.Join(err, j.Close()); err != nil {
			return err
		}
	}
	return nil
}

// survivesKill checks what is left when the process is killed, which loses nothing that was written, and the power is cut
// once the next one has appended to it.
func (l *life) survivesKill(chance *rand.Rand) error {
	killed := l.disk.Kill()
	h := l.h.first(len(l.h.groups))
	j, err := openDisk(killed, dir, wal.Config{SegmentBytes: 8 << 10}, &l.salts)
	if err != nil {
		return err
	}
	err = h.check(j)
	for n := 0; err == nil && n < 5; n++ {
		if err = h.append(j, journal.Options{Sync: true}, 500+n%2*3000); err == nil && n == 2 {
			err = j.Compact(h.bury(len(h.groups)-2, func(i int) bool { return i%3 != 0 }))
		}
	}
	after := killed.PowerCut(chance)
	if err := errors.Join(err, j.Close()); err != nil {
		return err
	}
	if j, err = openDisk(after, dir, wal.Config{SegmentBytes: 8 << 10}, &l.salts); err != nil {
		return err
	}
	return errors.Join(h.check(j), j.Close())
}

// loads checks the snapshot: the newest that was confirmed, or one that was tried after it.
func (l *life) loads(fs vfs.FS) error {
	_, in, err := wal.OpenSnapshots(dir, wal.WithFS(fs)).Load()
	if errors.Is(err, journal.ErrNoSnapshot) && l.saved == "" {
		return nil
	}
	if err != nil {
		return err
	}
	content, err := io.ReadAll(in)
	if got := string(content); err == nil && got != l.saved && !l.tried[got] {
		err = fmt.Errorf("snapshot %q, want %q or one of %v", got, l.saved, slices.Sorted(maps.Keys(l.tried)))
	}
	return errors.Join(err, in.Close())
}

// TestFaults lets each operation of a life fail. The power is cut right after the fault, and in another life at its
// end; or the process is killed there, and the power is cut in the life of the next. Spares are made by a goroutine of its own: the n-th operation need not be the same in every run.
func TestFaults(t *testing.T) {
	for _, test := range []struct {
		name  string
		op    vfs.Op
		fault error
	}{
		{"any", vfs.AnyOp, syscall.EIO},
		{"no room to allocate", vfs.OpAllocate, syscall.ENOSPC},
		{"no room to create", vfs.OpCreate, syscall.ENOSPC},
		{"no room to write", vfs.OpWrite, syscall.ENOSPC},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for n := 1; everyNth(t, test.op, n, test.fault); n++ {
			}
		})
	}
}

// TestLife: without a fault, a life has all that faults are to hit.
func TestLife(t *testing.T) {
	l := newLife(vfs.AnyOp, math.MaxInt, nil)
	var s journal.Stats
	err := l.run(func() bool {
		if l.j != nil {
			now := l.j.Stats()
			s.Segments = max(s.Segments, now.Segments)
			s.Rewritten = max(s.Rewritten, now.Rewritten)
			s.Recycled = max(s.Recycled, now.Recycled+now.Removed)
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	if s.Segments < 4 || s.Rewritten == 0 || s.Recycled == 0 || l.saved == "" {
		t.Errorf("%+v, snapshot %q", s, l.saved)
	}
	t.Logf("%d operations", l.failing.Count(vfs.AnyOp))
}

// everyNth lives with the n-th operation of a kind failing, and says whether there was one.
func everyNth(t *testing.T, op vfs.Op, n int, fault error) bool {
	t.Helper()
	happened := false
	for _, early := range []bool{true, false} {
		l := newLife(op, n, fault)
		hit := func() bool { return l.failing.Count(op) >= n }
		err := l.run(func() bool { return early && hit() })
		happened = happened || hit()
		for seed := range uint64(3) {
			var chance *rand.Rand // none: all that was not synced is lost
			if seed > 0 {
				chance = rand.New(rand.NewPCG(uint64(n), seed))
			}
			if err == nil {
				err = l.survives(chance)
			}
			if err == nil && early {
				err = l.survivesKill(chance)
			}
		}
		if l.j != nil {
			err = errors.Join(err, l.close())
		}
		if err != nil {
			t.Fatalf("operation %d fails, power cut at once: %t: %v", n, early, err)
		}
	}
	return happened
}

// A disk that is full refuses groups, keeps what it has, and takes more as soon as there is room.
func TestNoRoom(t *testing.T) {
	const segment = 8 << 10
	for capacity := int64(2 * segment); capacity <= 8*segment; capacity += segment / 2 {
		fs := vfs.NewMem(capacity)
		j := mustOpen(t, fs, dir, wal.Config{SegmentBytes: segment}, nil)
		var h history
		var err error
		for _, size := range []int{1000, 1} {
			for err = nil; err == nil; {
				err = h.append(j, journal.Options{Sync: true}, size)
			}
		}
		if !errors.Is(err, journal.ErrFull) || errors.Is(err, journal.ErrBudget) || !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("capacity %d: %v, want ErrFull for ENOSPC", capacity, err)
		}
		if !j.Stats().Full {
			t.Fatalf("capacity %d: Stats do not say that the journal is full", capacity)
		}
		large := bytes.Repeat([]byte("x"), 3*segment)
		if _, err := j.Append(nil, []journal.Entry{{Type: 1, Data: large}}, journal.Options{Reserve: true}); err == nil {
			t.Fatalf("capacity %d: room for %d bytes more", capacity, len(large))
		}
		if err := h.check(j); err != nil {
			t.Fatalf("capacity %d: %v", capacity, err)
		}
		fs.SetCapacity(capacity + 4*segment)
		h.mustAppend(t, j, 1000, 1000)
		closeJournal(t, j)
		j = j.again(t)
		if err := h.check(j); err != nil {
			t.Fatalf("capacity %d, reopened: %v", capacity, err)
		}
		closeJournal(t, j)
	}
}
