package wal

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Compact drops the segments that hold no live record and rewrites those that hold few, unless they may soon hold none (see
// dying), or were rewritten before and would hardly get smaller. It leaves the last segment, and the one that is being written,
// alone. A live position that is out of order, or at which there is no record, is an error that changes nothing in its
// segment, and does not keep the others from being compacted.
func (j *Journal) Compact(before journal.Position, live []journal.Position) error {
	j.compacting.Lock()
	defer j.compacting.Unlock()
	segments, err := j.table()
	if err != nil {
		return err
	}
	if err := j.spares.discard(j.spares.turn(j.counters.groups.Load())); err != nil {
		return fmt.Errorf("journal: remove a spare: %w", err)
	}
	var damaged []error
	looked := j.looked
	for i, s := range segments {
		if i == len(segments)-1 || s.head.number >= before.Segment {
			break
		}
		if j.isClosing() {
			return journal.ErrClosed
		}
		mine := within(live, s.head.number)
		j.looked = max(j.looked, s.head.number)
		switch held := livingBytes(mine); {
		case len(mine) == 0:
			err = j.drop(s)
		case looked > 0 && j.dying(s, looked), s.isSparse() && 4*s.sparseBytes(mine) > 3*j.heldBy(s):
		case float64(held) < j.config.RewriteBelow*float64(j.heldBy(s)):
			err = j.rewrite(s, mine)
		}
		switch {
		case errors.Is(err, journal.ErrCorrupt), errors.Is(err, journal.ErrNotFound):
			damaged, err = append(damaged, compactError(s, err)), nil
		case err != nil:
			return compactError(s, err)
		}
	}
	return errors.Join(damaged...)
}

// dying says whether a segment that holds live records is left as it is for now: it was completed since the compaction
// before this one, so that it may hold none by the next. Then its file can be used again, while one that was rewritten
// has holes, and a new one would have to be filled with zeros in its place. Want of room is a reason not to wait.
func (j *Journal) dying(s *segment, looked uint32) bool {
	_, failed := j.spares.count()
	return s.head.number > looked && !failed && j.budget.halfFree()
}

func compactError(s *segment, err error) error {
	if isFull(err) {
		return full("compact "+s.name(), err)
	}
	return fmt.Errorf("compact %s: %w", s.name(), err)
}

// within returns the positions, which are in order, that lie in a segment.
func within(live []journal.Position, number uint32) []journal.Position {
	at := func(n uint32) int {
		i, _ := slices.BinarySearchFunc(live, n, func(p journal.Position, n uint32) int {
			return int(int64(p.Segment) - int64(n))
		})
		return i
	}
	from := at(number)
	to := from
	for to < len(live) && live[to].Segment == number {
		to++
	}
	return live[from:to]
}

func livingBytes(live []journal.Position) int64 {
	total := int64(0)
	for _, p := range live {
		total += frameBytes(p.Length)
	}
	return total
}

// sparseBytes is what a segment that is rewritten with these records alone takes at least: the pages they touch, and those
// of head and seal.
func (s *segment) sparseBytes(live []journal.Position) int64 {
	total, end := int64(pageBytes), int64(pageBytes)
	add := func(from, to int64) {
		from = max(from&^(pageBytes-1), end)
		total, end = total+max(0, paged(to)-from), max(paged(to), end)
	}
	for _, p := range live {
		add(int64(p.Offset), int64(p.Offset)+frameBytes(p.Length))
	}
	add(s.head.size-sealBytes, s.head.size)
	return total
}

func (j *Journal) heldBy(s *segment) int64 {
	j.mu.RLock()
	defer j.mu.RUnlock()
	return s.held
}

func (j *Journal) isClosing() bool {
	select {
	case <-j.closing:
		return true
	default:
		return false
	}
}

// drop takes a segment out of the journal. Its file becomes a spare, or goes if there are enough or it has holes or
// another size.
func (j *Journal) drop(s *segment) error {
	file := s.acquire()
	name, recycle := "", false
	if !file.sparse && s.head.size == j.config.SegmentBytes {
		name, recycle = j.spares.reserve()
	}
	file.release()
	var err error
	if recycle {
		err = j.folder.fs.Rename(j.folder.path(s.name()), j.folder.path(name))
	} else {
		err = j.folder.fs.Remove(j.folder.path(s.name()))
	}
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.segments = slices.DeleteFunc(slices.Clone(j.segments), func(other *segment) bool { return other == s })
	j.budget.change(-s.held, s.held)
	j.mu.Unlock()
	old := s.replace(nil, false)
	<-old.idle
	// Only when the old name is gone for good may the content change: otherwise a crash brings back a segment that is
	// another one's.
	if err := j.folder.sync(); err != nil || !recycle {
		j.counters.removed.Add(1)
		j.budget.free(s.held)
		j.spares.retry()
		return errors.Join(err, old.Close())
	}
	j.counters.recycled.Add(1)
	j.spares.put(old.File, name)
	return nil
}

// rewrite replaces a segment's file by a sparse one with its live records only.
func (j *Journal) rewrite(s *segment, live []journal.Position) error {
	w, err := newSparse(j.folder, s.head, &j.counters.written, j.pause)
	if err != nil {
		return err
	}
	if err := j.copy(w, s, live); err != nil {
		return errors.Join(err, w.abandon())
	}
	file, mark, err := w.finish(s.end.Load(), s.seal())
	if file == nil {
		return err
	}
	j.mu.Lock()
	j.budget.change(mark.held-s.held, 0)
	s.held, s.records = mark.held, mark.records
	j.mu.Unlock()
	j.counters.rewritten.Add(1)
	old := s.replace(file, true)
	<-old.idle
	j.spares.retry()
	return errors.Join(err, old.Close())
}

// copy puts the live records of a segment, verified, into its sparse successor.
func (j *Journal) copy(w *sparseFile, s *segment, live []journal.Position) error {
	from := s.acquire()
	defer from.release()
	var scan scanner
	scan.reset(from, s.name(), s.head.number, s.head.salt)
	for _, at := range live {
		if j.isClosing() {
			return journal.ErrClosed
		}
		r, _, _, err := scan.frame(at.Offset, s.end.Load())
		if err != nil {
			return err
		}
		if r.Type == 0 || r.Position.Length != at.Length {
			return fmt.Errorf("%w: live record at offset %d", journal.ErrNotFound, at.Offset)
		}
		frame, err := scan.bytes(at.Offset, int(frameBytes(at.Length)))
		if err != nil {
			return err
		}
		if err := w.put(at.Offset, frame); err != nil {
			return err
		}
	}
	return nil
}

// pause waits for so long, or until Close is called.
func (j *Journal) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-j.closing:
	}
}
