package wal

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
)

// fillBytes is how much of a spare is zero-filled at once: each piece is synced by itself, so that an append never
// waits behind more than one.
const fillBytes = 1 << 20

// maxExtra bounds the dead segments that are kept as spares beyond those wanted.
const maxExtra = 16

// quietTurns is how many compactions without a new segment give the disk back: all but one file, and after as many
// without a single group that one as well.
const quietTurns = 4

// isFull tells errors that go away when there is room from those that do not.
func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, journal.ErrBudget)
}

// full says in what room was wanting. A lack of budget is told apart already.
func full(what string, err error) error {
	if errors.Is(err, journal.ErrFull) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%w: %s: %w", journal.ErrFull, what, err)
}

// spare is a file of a segment's size, ready to become one.
type spare struct {
	file vfs.File
	name string
}

// spares keeps a number of files ready. One goroutine (run) makes them ahead of time; it is stopped by stop, and what
// it has half made is removed then.
type spares struct {
	folder  folder
	size    int64
	want    int
	budget  *budget
	written *atomic.Uint64

	mu       sync.Mutex // guards what follows
	changed  *sync.Cond // broadcast at every change
	ready    []spare
	taken    int    // since the last compaction began
	extra    int    // how many beyond want dead segments may become: the most that was taken between two compactions
	quiet    int    // compactions in a row before which none was taken
	idle     int    // compactions in a row before which nothing was appended
	groups   uint64 // that were appended before the last compaction
	last     uint64 // number of the newest
	asked    bool   // somebody wants one more try
	hurry    bool   // somebody waits for it: allocated is good enough, do not fill
	making   bool
	tries    uint64 // how many attempts have ended
	err      error  // of the last attempt
	stopped  bool
	wake     chan struct{} // cuts a pause short; holds one signal, for one pause at most is under way
	finished chan struct{} // closed when run returns
}

func newSpares(f folder, config Config, b *budget, written *atomic.Uint64) *spares {
	s := &spares{
		folder: f, size: config.SegmentBytes, want: config.SpareSegments, budget: b, written: written,
		wake: make(chan struct{}, 1), finished: make(chan struct{}),
	}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// run makes spares whenever fewer than wanted are ready. After a failure it waits until it is asked again.
func (s *spares) run() {
	defer close(s.finished)
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		for !s.stopped && (len(s.ready) >= s.want || s.err != nil && !s.asked) {
			s.asked = false
			s.changed.Wait()
		}
		if s.stopped {
			return
		}
		s.attempt()
	}
}

// attempt makes one spare; mu is held, but not while it works.
func (s *spares) attempt() {
	s.asked, s.making = false, true
	s.last++
	name := spareName(s.last)
	s.mu.Unlock()
	var file vfs.File
	err := s.budget.claim(s.size)
	if err == nil {
		if file, err = s.make(name); err != nil {
			s.budget.free(s.size)
		}
	}
	s.mu.Lock()
	if err == nil {
		s.ready = append(s.ready, spare{file, name})
	}
	s.making, s.hurry, s.err = false, false, err
	s.tries++
	s.changed.Broadcast()
}

// make creates a spare under a temporary name and gives it its own once it is on stable storage.
func (s *spares) make(name string) (vfs.File, error) {
	temp := s.folder.path(name + temporary)
	file, err := s.folder.fs.Create(temp)
	if err != nil {
		return nil, err
	}
	if err = s.fill(file); err == nil {
		err = s.folder.fs.Rename(temp, s.folder.path(name))
	}
	if err == nil {
		if err = s.folder.sync(); err == nil {
			return file, nil
		}
		temp = s.folder.path(name)
	}
	return nil, errors.Join(err, file.Close(), s.folder.fs.Remove(temp))
}

// fill reserves the disk first, so that a full one shows at once, and then writes zeros, so that no later sync has to
// say which blocks were written. When somebody waits, reserved is enough.
func (s *spares) fill(file vfs.File) error {
	err := file.Allocate(s.size)
	reserved := err == nil
	if err != nil && !errors.Is(err, vfs.ErrUnsupported) {
		return err
	}
	for at := int64(0); at < s.size; at += fillBytes {
		hurry, stopped := s.state()
		if stopped {
			return journal.ErrClosed
		}
		if hurry && reserved {
			break
		}
		began := time.Now()
		n, err := file.Zero(at, min(fillBytes, s.size-at))
		s.written.Add(uint64(n))
		if err != nil {
			return err
		}
		if err := file.Sync(); err != nil {
			return err
		}
		if !hurry {
			s.pause(time.Since(began))
		}
	}
	return file.Sync()
}

// pause leaves the disk to others for as long as it was used.
func (s *spares) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.wake:
	}
}

func (s *spares) state() (hurry, stopped bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.hurry, s.stopped
}

// ensure returns nil once at least n spares are ready, waiting for them to be made. It returns the error of an attempt
// that began after the call.
func (s *spares) ensure(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.ready) < n {
		if s.stopped {
			return journal.ErrClosed
		}
		due := s.tries + 1
		if s.making {
			due++
		}
		s.ask(true)
		for len(s.ready) < n && s.tries < due && !s.stopped {
			s.changed.Wait()
		}
		if len(s.ready) < n && s.tries >= due && s.err != nil {
			return s.err
		}
	}
	return nil
}

// ask wakes run for one more try; mu is held.
func (s *spares) ask(hurry bool) {
	s.asked = true
	s.hurry = s.hurry || hurry
	if hurry {
		s.signal()
	}
	s.changed.Broadcast()
}

func (s *spares) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take hands out a spare, if one is ready, and lets run make the next.
func (s *spares) take() (spare, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ready) == 0 {
		return spare{}, false
	}
	taken := s.ready[0]
	s.ready = s.ready[1:]
	s.taken++
	s.ask(false)
	return taken, true
}

// turn begins a compaction: dead segments may become as many spares as are taken between two compactions, so that what a
// busy journal uses up comes back without being filled with zeros, and one that is quiet for a few of them gives the disk
// back. A journal that is written slowly keeps one: its segment will be full one day, and to fill a file then, only to
// discard the dead segment that comes after it, would write everything twice. groups is how many were appended so far. It
// returns the spares that are too many now.
func (s *spares) turn(groups uint64) []spare {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.idle++; groups != s.groups {
		s.idle, s.groups = 0, groups
	}
	if s.quiet++; s.taken > 0 {
		s.extra, s.quiet = min(max(s.extra, s.taken), maxExtra), 0
	}
	switch {
	case s.idle >= quietTurns:
		s.extra = 0
	case s.quiet >= quietTurns:
		s.extra = min(s.extra, 1)
	}
	s.taken = 0
	keep := min(len(s.ready), s.want+s.extra)
	surplus := slices.Clone(s.ready[keep:])
	s.ready = s.ready[:keep]
	return surplus
}

// discard removes spares that turn returned.
func (s *spares) discard(surplus []spare) error {
	var errs []error
	for _, one := range surplus {
		err := errors.Join(one.file.Close(), s.folder.fs.Remove(s.folder.path(one.name)))
		if err == nil {
			s.budget.free(s.size)
		}
		errs = append(errs, err)
	}
	if len(surplus) > 0 {
		errs = append(errs, s.folder.sync())
	}
	return errors.Join(errs...)
}

// reserve returns the name of a spare that a dead segment may become, or false if there are enough. Those beyond want
// must leave half of the budget to segments.
func (s *spares) reserve() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped || len(s.ready) >= s.want && (len(s.ready) >= s.want+s.extra || !s.budget.halfFree()) {
		return "", false
	}
	s.last++
	return spareName(s.last), true
}

// put adds a spare that is on stable storage under its name.
func (s *spares) put(file vfs.File, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = append(s.ready, spare{file, name})
	s.changed.Broadcast()
}

// retry lets run try again after a failure, for there may be room now.
func (s *spares) retry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		s.ask(false)
	}
}

// count says how many are ready, and whether the last attempt to make one failed.
func (s *spares) count() (ready int, failed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ready), s.err != nil
}

// stop ends run and closes the files.
func (s *spares) stop() error {
	s.mu.Lock()
	s.stopped = true
	s.signal()
	s.changed.Broadcast()
	s.mu.Unlock()
	<-s.finished
	var err error
	for _, spare := range s.ready {
		err = errors.Join(err, spare.file.Close())
	}
	s.ready = nil
	return err
}
