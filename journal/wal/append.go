package wal

import (
	"errors"
	"fmt"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
)

// keepBytes is the largest buffer that is kept from one group to the next.
const keepBytes = 16 << 20

// Append is one write and, with opts.Sync, one fdatasync; where a new segment begins, three syncs more, and one for what
// earlier groups left unsynced.
func (j *Journal) Append(
	dst []journal.Position, group []journal.Entry, opts journal.Options,
) ([]journal.Position, error) {
	j.appending.Lock()
	defer j.appending.Unlock()
	if err := j.usable(); err != nil {
		return dst, err
	}
	if len(group) == 0 {
		if !opts.Sync {
			return dst, nil
		}
		return dst, j.sync()
	}
	size, err := groupBytes(group)
	if err != nil {
		return dst, err
	}
	if err := j.prepare(size, opts.Reserve); err != nil {
		return dst, err
	}
	before := len(dst)
	dst, err = j.write(dst, group)
	if err == nil && opts.Sync {
		err = j.sync()
	}
	if err != nil {
		return dst[:before], err
	}
	j.counters.groups.Add(1)
	j.counters.records.Add(uint64(len(group)))
	return dst, nil
}

func (j *Journal) usable() error {
	j.mu.RLock()
	defer j.mu.RUnlock()
	if j.closed {
		return journal.ErrClosed
	}
	return j.failure
}

// fail ends the journal's life for appends.
func (j *Journal) fail(err error) error {
	j.failure = fmt.Errorf("%w: %w", journal.ErrFailed, err)
	return j.failure
}

// sync brings what was written to stable storage, if it is not there yet.
func (j *Journal) sync() error {
	if j.active == nil || j.synced == j.active.end.Load() {
		return nil
	}
	file := j.active.acquire()
	defer file.release()
	if err := j.syncFile(file); err != nil {
		return j.fail(fmt.Errorf("sync %s: %w", j.active.name(), err))
	}
	j.synced = j.active.end.Load()
	return nil
}

// syncFile counts and times one sync.
func (j *Journal) syncFile(file interface{ Sync() error }) error {
	defer j.folder.time()()
	j.counters.syncs.Add(1)
	return file.Sync()
}

// write puts a group, which fits, at the end of the active segment.
func (j *Journal) write(dst []journal.Position, group []journal.Entry) ([]journal.Position, error) {
	s := j.active
	at := s.end.Load()
	head := groupHead{sequence: j.sequence, synced: j.synced}
	buf, dst := appendGroup(j.buf[:0], dst, group, head, s.key, s.head.number, at)
	end := int64(at) + int64(len(buf))
	// Whole pages spare the file system from reading the rest of the last one.
	fill := min(paged(end), int64(s.limit())) - end
	buf = append(buf, make([]byte, fill)...)
	if j.buf = buf; cap(buf) > keepBytes {
		j.buf = nil
	}
	file := s.acquire()
	defer file.release()
	n, err := file.WriteAt(buf, int64(at))
	j.counters.written.Add(uint64(n))
	if err != nil {
		return dst, j.fail(fmt.Errorf("write %s at %d: %w", s.name(), at, err))
	}
	s.next++
	s.groups++
	s.records += uint32(len(group))
	j.sequence++
	s.end.Store(uint32(end))
	j.setTail(s.head.number, uint32(end))
	return dst, nil
}

// prepare makes sure that a group of so many bytes fits into the active segment and that, unless the group may use the
// reserve, a spare segment is left. ErrFull means that nothing has changed.
func (j *Journal) prepare(size int64, reserve bool) error {
	own := paged(headBytes + size + sealBytes)
	oversize := own > j.config.SegmentBytes
	j.mu.RLock()
	roll := j.active == nil || j.mustRoll(size)
	growth := int64(0)
	switch {
	case roll && oversize:
		growth = own
	case roll:
		growth = j.config.SegmentBytes
	}
	j.mu.RUnlock()
	if !j.budget.allows(growth, reserve) {
		return fmt.Errorf("%w: %d bytes more", journal.ErrBudget, growth)
	}
	needed := 0
	if roll && !oversize {
		needed++
	}
	if !reserve {
		needed++
	}
	if err := j.spares.ensure(needed); err != nil {
		return j.refuse("prepare a segment", err)
	}
	if !roll {
		return nil
	}
	next, err := j.next(growth, oversize)
	if err != nil {
		return j.refuse("begin a segment", err)
	}
	return j.roll(next)
}

// refuse is ErrFull for want of room and the end for anything else.
func (j *Journal) refuse(what string, err error) error {
	if isFull(err) {
		return full(what, err)
	}
	return j.fail(fmt.Errorf("%s: %w", what, err))
}

// fresh is a file with the head of the next segment, on stable storage under another name.
type fresh struct {
	head segmentHead
	file vfs.File
	name string
}

// next takes a spare, or makes a file for a group that no spare can hold, and writes the head of the next segment to
// it.
func (j *Journal) next(size int64, oversize bool) (fresh, error) {
	next := fresh{head: segmentHead{
		number: j.End().Segment, salt: j.folder.salt(), size: size, first: j.sequence,
	}}
	if j.active != nil {
		next.head.number = j.active.head.number + 1
	}
	if next.head.number == 0 {
		return fresh{}, errors.New("segment numbers are used up")
	}
	var err error
	if oversize {
		next.name = segmentName(next.head.number) + temporary
		next.file, err = j.allocate(next.name, size)
	} else {
		taken, ok := j.spares.take()
		next.file, next.name = taken.file, taken.name
		if !ok {
			err = journal.ErrBudget
		}
	}
	if err != nil {
		return fresh{}, err
	}
	n, err := next.file.WriteAt(next.head.encode(), 0)
	j.counters.written.Add(uint64(n))
	if err == nil {
		err = next.file.Sync()
	}
	if err != nil {
		j.budget.free(size)
		return fresh{}, errors.Join(err, next.file.Close(), j.folder.fs.Remove(j.folder.path(next.name)))
	}
	return next, nil
}

// allocate makes a file of a size of its own.
func (j *Journal) allocate(name string, size int64) (vfs.File, error) {
	if err := j.budget.claim(size); err != nil {
		return nil, err
	}
	file, err := j.folder.fs.Create(j.folder.path(name))
	if err != nil {
		j.budget.free(size)
		return nil, err
	}
	if err = grow(file, size); err != nil {
		j.budget.free(size)
		return nil, errors.Join(err, file.Close(), j.folder.fs.Remove(j.folder.path(name)))
	}
	return file, nil
}

// roll seals the active segment and goes on in the next: its seal is on stable storage before the next has its name,
// and the name before a group is written there.
func (j *Journal) roll(next fresh) error {
	if j.active != nil {
		if err := j.seal(); err != nil {
			return errors.Join(err, next.file.Close())
		}
	}
	s := newSegment(next.head, next.file)
	err := j.folder.fs.Rename(j.folder.path(next.name), j.folder.path(s.name()))
	if err == nil {
		err = j.folder.sync()
	}
	if err != nil {
		return errors.Join(j.fail(fmt.Errorf("begin %s: %w", s.name(), err)), next.file.Close())
	}
	j.mu.Lock()
	j.segments = append(j.segments, s)
	j.budget.change(s.held, -s.held)
	j.mu.Unlock()
	j.active, j.synced = s, headBytes
	j.setTail(s.head.number, headBytes)
	return nil
}

// seal marks the active segment as complete. All groups in it are on stable storage before the seal is written, for it
// vouches for them: a crash may keep the seal of one sync and lose the rest.
func (j *Journal) seal() error {
	if err := j.sync(); err != nil {
		return err
	}
	s := j.active
	file := s.acquire()
	defer file.release()
	mark := s.seal().encode()
	n, err := file.WriteAt(mark, s.head.size-sealBytes)
	j.counters.written.Add(uint64(n))
	if err == nil {
		err = j.syncFile(file)
	}
	if err != nil {
		return j.fail(fmt.Errorf("seal %s: %w", s.name(), err))
	}
	j.mu.Lock()
	s.sealed = true
	j.mu.Unlock()
	j.active = nil
	return nil
}
