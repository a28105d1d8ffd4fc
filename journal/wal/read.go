package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/hooktroupe/hooktroupe/journal"
)

// Read is one read of the record's whole frame.
func (j *Journal) Read(at journal.Position) (journal.Record, error) {
	s, err := j.find(at.Segment)
	if err != nil {
		return journal.Record{}, err
	}
	missing := fmt.Errorf("%w: segment %d offset %d", journal.ErrNotFound, at.Segment, at.Offset)
	if s == nil || at.Length > journal.MaxRecordBytes || at.Offset < headBytes || at.Offset%alignment != 0 {
		return journal.Record{}, missing
	}
	size := frameBytes(at.Length)
	if int64(at.Offset)+size > int64(s.end.Load()) {
		return journal.Record{}, missing
	}
	file := s.acquire()
	if file == nil {
		return journal.Record{}, missing
	}
	defer file.release()
	p := make([]byte, size)
	if n, err := file.ReadAt(p, int64(at.Offset)); err != nil && (n < len(p) || !errors.Is(err, io.EOF)) {
		return journal.Record{}, fmt.Errorf("%s: %w", s.name(), err)
	}
	head, ok := decodeRecord(p, s.key, at.Offset)
	// In a sparse file a dropped record lies in a hole, or is where a gap begins.
	if ok && head.kind == kindGap || !ok && file.sparse && allZero(p[:recordHeadBytes]) {
		return journal.Record{}, missing
	}
	damaged := &journal.CorruptError{File: s.name(), Offset: int64(at.Offset)}
	switch {
	case !ok:
		damaged.Reason = "no head of a record"
	case head.length != at.Length:
		damaged.Reason = fmt.Sprintf("the record has %d bytes, not %d", head.length, at.Length)
	default:
		damaged.Reason = damage(head, p[recordHeadBytes:recordHeadBytes+head.length], p[recordHeadBytes+head.length:])
	}
	if damaged.Reason != "" {
		return journal.Record{}, damaged
	}
	data := p[recordHeadBytes : recordHeadBytes+head.length : recordHeadBytes+head.length]
	return journal.Record{Position: at, Type: head.typ, Data: data}, nil
}

func allZero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

// Replay reads each segment once, a mebibyte at a time, and allocates nothing per record. Another goroutine reads ahead while fn
// works.
func (j *Journal) Replay(from journal.Position, fn func(journal.Record) error) error {
	segments, err := j.table()
	if err != nil {
		return err
	}
	segments = slices.DeleteFunc(segments, func(s *segment) bool { return s.head.number < from.Segment })
	scan := scanner{ahead: startReadAhead(slices.DeleteFunc(slices.Clone(segments), func(s *segment) bool {
		return !readsWhole(s, from)
	}))}
	defer scan.ahead.close()
	for _, s := range segments {
		offset := uint32(0)
		if s.head.number == from.Segment {
			offset = from.Offset
		}
		scan.following = readsWhole(s, from)
		if err := j.replay(&scan, s, offset, fn); err != nil {
			return err
		}
	}
	return nil
}

// readsWhole says whether a replay reads a segment from begin to end. Of a sparse one it passes over the holes.
func readsWhole(s *segment, from journal.Position) bool {
	return !s.isSparse() && s.head.number != from.Segment
}

func (j *Journal) replay(scan *scanner, s *segment, from uint32, fn func(journal.Record) error) error {
	file := s.acquire()
	if file == nil {
		return nil
	}
	defer file.release()
	scan.reset(file, s.name(), s.head.number, s.head.salt)
	return scan.walk(s.extent(file.sparse), from, fn)
}
