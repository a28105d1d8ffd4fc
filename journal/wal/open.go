package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
)

// Open opens the journal in a folder, which is made if need be, and locks it. It removes what interrupted writers left
// in the making, cuts a torn tail, and syncs. ErrLocked means that another process has it; a *journal.CorruptError that
// something before the tail is damaged. Open checks every segment's head and seal and all of the last, unsealed one;
// the records of the others are checked when they are read.
func Open(dir string, config Config, opts ...Option) (*Journal, error) {
	config = config.WithDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	j := &Journal{
		folder: folder{options: newOptions(opts), dir: dir}, config: config, budget: &budget{config: config},
		closing: make(chan struct{}), sequence: 1,
	}
	if err := j.folder.fs.MakeDir(dir); err != nil {
		return nil, err
	}
	lock, err := j.folder.lock()
	if err != nil {
		return nil, err
	}
	j.lock = lock
	j.spares = newSpares(j.folder, config, j.budget, &j.counters.written)
	if err := j.recover(); err != nil {
		close(j.spares.finished) // run was never started
		return nil, errors.Join(err, j.release())
	}
	go j.spares.run() // until Close
	return j, nil
}

// lock takes the exclusive lock of the folder.
func (f folder) lock() (io.Closer, error) {
	lock, err := f.fs.Lock(f.path(lockName))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", journal.ErrLocked, f.dir)
	}
	return lock, err
}

// recover makes the journal's state from what is in the folder.
func (j *Journal) recover() error {
	names, err := j.folder.fs.List(j.folder.dir)
	if err != nil {
		return err
	}
	j.repaired = slices.ContainsFunc(names, isQuarantine)
	for _, name := range names {
		if strings.HasSuffix(name, temporary) {
			err = j.folder.fs.Remove(j.folder.path(name))
		} else if number, ok := parseSpare(name); ok {
			err = j.adopt(name, number)
		}
		if err != nil {
			return err
		}
	}
	for _, number := range segmentNumbers(names) {
		if err := j.load(number); err != nil {
			return err
		}
	}
	if err := j.resume(); err != nil {
		return err
	}
	return j.folder.sync()
}

// segmentNumbers returns the numbers of the segments among the files of a folder, in order.
func segmentNumbers(names []string) []uint32 {
	var numbers []uint32
	for _, name := range names {
		if number := parseSegment(name); number != 0 {
			numbers = append(numbers, number)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// adopt keeps a spare of the right size while they are wanted and removes any other.
func (j *Journal) adopt(name string, number uint64) error {
	j.spares.last = max(j.spares.last, number)
	file, err := j.folder.fs.OpenWrite(j.folder.path(name))
	if err != nil {
		return err
	}
	size, err := file.Size()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	if size == j.config.SegmentBytes && len(j.spares.ready) < j.config.SpareSegments {
		j.spares.ready = append(j.spares.ready, spare{file, name})
		j.budget.change(0, size)
		return nil
	}
	return errors.Join(file.Close(), j.folder.fs.Remove(j.folder.path(name)))
}

// load adds a segment after those before it.
func (j *Journal) load(number uint32) error {
	name := segmentName(number)
	file, err := j.folder.fs.OpenWrite(j.folder.path(name))
	if err != nil {
		return err
	}
	head, mark, err := readEnds(file, name, number)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s := newSegment(head, file)
	if mark != nil {
		s.restore(*mark)
	}
	j.segments = append(j.segments, s)
	j.budget.change(s.held, 0)
	if len(j.segments) == 1 {
		return nil
	}
	return follows(j.segments[len(j.segments)-2], s)
}

// restore takes over what a seal says.
func (s *segment) restore(mark seal) {
	s.sealed, s.next, s.groups, s.records, s.held = true, mark.next, mark.groups, mark.records, mark.held
	s.end.Store(mark.end)
}

// follows checks that a segment is complete and the one behind it goes on where it ended.
func follows(before, s *segment) error {
	switch {
	case !before.sealed:
		return &journal.CorruptError{
			File: before.name(), Offset: before.head.size - sealBytes,
			Reason: "no seal, though it is not the last segment",
		}
	case before.next > s.head.first, before.next != s.head.first && before.head.number+1 == s.head.number:
		return &journal.CorruptError{
			File:   s.name(),
			Reason: fmt.Sprintf("begins with group %d where %d is due", s.head.first, before.next),
		}
	}
	return nil
}

// readEnds reads a segment's head and, if it has one, its seal.
func readEnds(file vfs.File, name string, number uint32) (segmentHead, *seal, error) {
	damaged := func(offset int64, reason string) (segmentHead, *seal, error) {
		return segmentHead{}, nil, &journal.CorruptError{File: name, Offset: offset, Reason: reason}
	}
	size, err := file.Size()
	if err != nil {
		return segmentHead{}, nil, err
	}
	p, err := readPadded(file, 0, headBytes)
	if err != nil {
		return segmentHead{}, nil, err
	}
	head, wrong := decodeHead(p)
	switch {
	case wrong != "":
		return damaged(0, wrong)
	case head.number != number:
		return damaged(0, fmt.Sprintf("says that it is segment %d", head.number))
	case size > head.size:
		return damaged(head.size, fmt.Sprintf("%d bytes too long", size-head.size))
	}
	if p, err = readPadded(file, head.size-sealBytes, sealBytes); err != nil {
		return segmentHead{}, nil, err
	}
	mark, ok := decodeSeal(p)
	ok = ok && mark.salt == head.salt && mark.number == number && mark.end >= headBytes &&
		int64(mark.end) <= head.size-sealBytes
	if !ok && head.sparse {
		return damaged(head.size-sealBytes, "no seal on a sparse segment")
	}
	if !ok {
		return head, nil, nil
	}
	return head, &mark, nil
}

// readPadded reads n bytes; what the file lacks reads as zeros.
func readPadded(file io.ReaderAt, at int64, n int) ([]byte, error) {
	p := make([]byte, n)
	if _, err := file.ReadAt(p, at); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return p, nil
}

// resume finds where the next group goes, and makes sure that all before it stays.
func (j *Journal) resume() error {
	if len(j.segments) == 0 {
		j.setTail(1, headBytes)
		return nil
	}
	last := j.segments[len(j.segments)-1]
	file := last.acquire()
	defer file.release()
	if last.sealed {
		j.sequence = last.next
		j.setTail(last.head.number+1, headBytes)
		return file.Sync() // whoever wrote the seal may have been killed before it was on stable storage
	}
	var scan scanner
	scan.reset(file, last.name(), last.head.number, last.head.salt)
	t, err := scan.findTail(last.limit(), last.head.first)
	if err != nil {
		return err
	}
	if err := cut(file, last.head.size, t); err != nil {
		return err
	}
	last.next, last.groups, last.records = t.next, t.groups, t.records
	last.end.Store(t.end)
	j.active, j.synced, j.sequence, j.torn = last, t.end, t.next, t.torn
	j.setTail(last.head.number, t.end)
	return j.stepOver()
}

// stepOver seals the last segment when it ends before what the snapshot covers, which only a disk that lost synced data
// brings about: groups written there would lie where no recovery from that snapshot looks.
func (j *Journal) stepOver() error {
	covered, r, err := j.Snapshots().Load()
	var corrupt *journal.CorruptError
	if errors.Is(err, journal.ErrNoSnapshot) || errors.As(err, &corrupt) { // whoever loads it hears of it
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.Close(); err != nil {
		return err
	}
	end := j.active.end.Load()
	if covered.Segment != j.active.head.number || covered.Offset <= end+groupHeadBytes {
		return nil
	}
	j.torn = &journal.CorruptError{
		File: j.active.name(), Offset: int64(end),
		Reason: fmt.Sprintf("the journal ends here, the snapshot covers it up to %d: the disk lost what was synced", covered.Offset),
	}
	if err := j.seal(); err != nil {
		return err
	}
	j.setTail(covered.Segment+1, headBytes)
	return nil
}

// cut clears what lies behind the last whole group, unless it is of another life of the file, restores the size of the
// file, and syncs.
func cut(file vfs.File, size int64, t tail) error {
	have, err := file.Size()
	if err != nil {
		return err
	}
	if t.stale {
		zeros := make([]byte, fillBytes)
		for at := int64(t.end); at < have; at += fillBytes {
			if _, err := file.WriteAt(zeros[:min(fillBytes, have-at)], at); err != nil {
				return err
			}
		}
	}
	if have < size {
		if err := grow(file, size); err != nil {
			return err
		}
	}
	return file.Sync()
}

// grow gives a file its size, with disk behind it where the file system can reserve it.
func grow(file vfs.File, size int64) error {
	err := file.Allocate(size)
	if errors.Is(err, vfs.ErrUnsupported) {
		return file.Truncate(size)
	}
	return err
}
