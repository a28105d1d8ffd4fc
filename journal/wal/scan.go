package wal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/hooktroupe/hooktroupe/journal"
)

// scanBytes is how much a scanner reads at once.
const scanBytes = 1 << 20

// scanner reads the frames of one segment after the other through one buffer. What it finds damaged it returns as a
// *journal.CorruptError; any other error is the file's, or that of the function it calls.
type scanner struct {
	file   io.ReaderAt
	name   string
	number uint32
	key    key
	buf    []byte // what the file has at start
	start  int64

	ahead     *readAhead // nil for none
	following bool       // ahead reads this segment
	lent      []byte     // its buffer that buf is a part of; nil if it is none
	long      []byte     // for frames that are longer than a block of it
}

// reset turns to another segment. Bytes behind the end of its file read as zeros.
func (s *scanner) reset(file io.ReaderAt, name string, number uint32, salt uint64) {
	s.file, s.name, s.number, s.key = file, name, number, newKey(salt)
	s.giveBack()
	if s.buf, s.start = s.buf[:0], 0; s.ahead != nil {
		s.buf = nil // it may be another's, or long
	}
}

func (s *scanner) corrupt(offset uint32, reason string) error {
	return &journal.CorruptError{File: s.name, Offset: int64(offset), Reason: reason}
}

// bytes returns n bytes at an offset, valid until the next call.
func (s *scanner) bytes(offset uint32, n int) ([]byte, error) {
	at := int64(offset) - s.start
	if at >= 0 && at+int64(n) <= int64(len(s.buf)) {
		return s.buf[at : at+int64(n)], nil
	}
	if s.following {
		if err := s.follow(offset, n); err != nil {
			return nil, err
		}
		return s.buf[int64(offset)-s.start:][:n], nil
	}
	want := max(n, scanBytes)
	if cap(s.buf) < want {
		s.buf = make([]byte, want)
	}
	s.buf = s.buf[:want]
	read, err := s.file.ReadAt(s.buf, int64(offset))
	if err != nil && !errors.Is(err, io.EOF) {
		s.buf = s.buf[:0]
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	clear(s.buf[read:])
	s.start = int64(offset)
	return s.buf[:n], nil
}

// groupHead reads the head of the group that must lie at an offset, before a limit, with a sequence number.
func (s *scanner) groupHead(offset, limit uint32, sequence uint64) (groupHead, error) {
	if int64(offset)+groupHeadBytes > int64(limit) {
		return groupHead{}, s.corrupt(offset, "no room for a group")
	}
	p, err := s.bytes(offset, groupHeadBytes)
	if err != nil {
		return groupHead{}, err
	}
	g, ok := decodeGroup(p, s.key, offset)
	switch {
	case !ok:
		return g, s.corrupt(offset, "no head of a group")
	case g.sequence != sequence:
		return g, s.corrupt(offset, fmt.Sprintf("group %d where %d is due", g.sequence, sequence))
	case int64(offset)+groupHeadBytes+int64(g.length) > int64(limit) || g.records == 0 || g.length%alignment != 0:
		return g, s.corrupt(offset, "group out of bounds")
	}
	return g, nil
}

// frame reads the record or gap at an offset and returns it with the offset behind it. The whole of it must lie before
// limit. Head is the frame's first 16 bytes; it and the record's data are valid until the next read.
func (s *scanner) frame(offset, limit uint32) (r journal.Record, head []byte, next uint32, err error) {
	if int64(offset)+recordHeadBytes > int64(limit) {
		return r, nil, 0, s.corrupt(offset, "no room for a record")
	}
	p, err := s.bytes(offset, recordHeadBytes)
	if err != nil {
		return r, nil, 0, err
	}
	h, ok := decodeRecord(p, s.key, offset)
	if !ok {
		return r, nil, 0, s.corrupt(offset, "no head of a record")
	}
	size := frameBytes(h.length)
	if int64(offset)+size > int64(limit) {
		return r, nil, 0, s.corrupt(offset, "record out of bounds")
	}
	r.Position = journal.Position{Segment: s.number, Offset: offset, Length: h.length}
	r.Type, next = h.typ, offset+uint32(size)
	if h.kind == kindGap {
		return r, p, next, nil
	}
	if p, err = s.bytes(offset, int(size)); err != nil {
		return r, nil, 0, err
	}
	data, padding := p[recordHeadBytes:recordHeadBytes+h.length], p[recordHeadBytes+h.length:]
	if wrong := damage(h, data, padding); wrong != "" {
		return r, nil, 0, s.corrupt(offset, wrong)
	}
	r.Data = data
	return r, p[:recordHeadBytes], next, nil
}

// damage says what is wrong with a record's data and padding.
func damage(h recordHead, data, padding []byte) string {
	switch {
	case crc32.Checksum(data, castagnoli) != h.sum:
		return "checksum of the record"
	case len(bytes.Trim(padding, "\x00")) > 0:
		return "padding of the record"
	}
	return ""
}

// group reads the records of a group and calls fn, if there is one, for each. The error that says the group is not
// whole may come after some of its records.
func (s *scanner) group(offset uint32, g groupHead, fn func(journal.Record) error) error {
	var heads uint32
	at, limit := offset+groupHeadBytes, offset+groupHeadBytes+g.length
	for range g.records {
		r, head, next, err := s.frame(at, limit)
		if err != nil {
			return err
		}
		if r.Type == 0 {
			return s.corrupt(at, "gap within a group")
		}
		heads = crc32.Update(heads, castagnoli, head)
		if fn != nil {
			if err := fn(r); err != nil {
				return err
			}
		}
		at = next
	}
	if at != limit || heads != g.heads {
		return s.corrupt(offset, "the group's records are not those of its head")
	}
	return nil
}

// extent is what of a segment holds frames.
type extent struct {
	sparse      bool
	end         uint32
	first, next uint64 // sequence numbers
}

// walk calls fn for every record at or after an offset. Groups before it are passed over unread but for their heads.
func (s *scanner) walk(x extent, from uint32, fn func(journal.Record) error) error {
	if x.sparse {
		return s.walkSparse(x.end, from, fn)
	}
	sequence := x.first
	for at := uint32(headBytes); at < x.end; sequence++ {
		g, err := s.groupHead(at, x.end, sequence)
		if err != nil {
			return err
		}
		next := at + groupHeadBytes + g.length
		if next > from {
			if err := s.group(at, g, notBefore(from, fn)); err != nil {
				return err
			}
		}
		at = next
	}
	if sequence != x.next {
		return s.corrupt(x.end, fmt.Sprintf("the last group is %d where %d is due", sequence-1, x.next-1))
	}
	return nil
}

func (s *scanner) walkSparse(end, from uint32, fn func(journal.Record) error) error {
	fn = notBefore(from, fn)
	for at := uint32(headBytes); at < end; {
		r, _, next, err := s.frame(at, end)
		if err != nil {
			return err
		}
		if r.Type != 0 && fn != nil {
			if err := fn(r); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// notBefore passes on the records at or after an offset.
func notBefore(from uint32, fn func(journal.Record) error) func(journal.Record) error {
	if fn == nil || from <= headBytes {
		return fn
	}
	return func(r journal.Record) error {
		if r.Position.Offset < from {
			return nil
		}
		return fn(r)
	}
}

// tail is what the scan of an unsealed segment found.
type tail struct {
	end             uint32 // of the last whole group
	next            uint64 // sequence number of the group after it
	groups, records uint32
	torn            *journal.CorruptError // why the scan ended; nil when nothing was written there
	stale           bool                  // heads of this salt lie at end or behind
}

// findTail finds the last whole group of an unsealed segment. It is a *journal.CorruptError when what follows proves
// that something before it is damaged: docs/FORMAT.md, "Torn tail or corruption".
func (s *scanner) findTail(limit uint32, first uint64) (tail, error) {
	t := tail{end: headBytes, next: first}
	for {
		g, err := s.groupHead(t.end, limit, t.next)
		if err == nil {
			err = s.group(t.end, g, nil)
		}
		if err != nil && !errors.As(err, &t.torn) {
			return t, err
		}
		if err != nil {
			break
		}
		t.end += groupHeadBytes + g.length
		t.next++
		t.groups++
		t.records += g.records
	}
	err := s.findHeads(t.end, limit, func(at uint32, g groupHead) error {
		t.stale = true
		if g.synced > t.end {
			return s.corrupt(t.end, fmt.Sprintf("%s, though synced before the group at %d", t.torn.Reason, at))
		}
		return nil
	})
	if err == nil && !t.stale {
		t.torn = nil
	}
	return t, err
}

// findHeads calls fn for every head of a group at or after an offset whose checksum holds.
func (s *scanner) findHeads(from, limit uint32, fn func(at uint32, g groupHead) error) error {
	for base := from; int64(base)+groupHeadBytes <= int64(limit); {
		n := min(scanBytes, int(limit-base))
		chunk, err := s.bytes(base, n)
		if err != nil {
			return err
		}
		last := n - groupHeadBytes
		for i := 0; i <= last; i += alignment {
			if g, ok := decodeGroup(chunk[i:], s.key, base+uint32(i)); ok {
				if err := fn(base+uint32(i), g); err != nil {
					return err
				}
			}
		}
		base += uint32(last - last%alignment + alignment)
	}
	return nil
}
