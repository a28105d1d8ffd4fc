package wal

import (
	"errors"
	"fmt"
	"io"
)

const (
	// aheadBlocks bounds the blocks that there are: one that is read, one that is scanned, and two that wait.
	aheadBlocks = 4
	// headroom is kept free in front of a block for the begin of a frame that ends in it.
	headroom = 64 << 10
)

// readAhead reads segments from begin to end, one after the other, on a goroutine of its own, while a scanner goes through what
// was read.
type readAhead struct {
	full  chan block    // carries blocks in order; room for all of them, so that only want of an empty one holds up the reader
	empty chan []byte   // carries buffers of headroom+scanBytes back; room for all of them
	stop  chan struct{} // closed when nothing more is wanted
	made  int           // buffers; the reader's own
}

// block is a piece of a segment, behind the headroom of its buffer.
type block struct {
	segment uint32
	at      int64
	buf     []byte
	n       int
	err     error // of the read; n is zero then
}

func (b block) bytes() []byte { return b.buf[headroom : headroom+b.n] }

// startReadAhead begins to read; close ends it. None of the segments may be sparse.
func startReadAhead(segments []*segment) *readAhead {
	r := &readAhead{
		full: make(chan block, aheadBlocks), empty: make(chan []byte, aheadBlocks), stop: make(chan struct{}),
	}
	go func() { // ends with the last segment, an error, or soon after stop is closed; full is closed then
		defer close(r.full)
		for _, s := range segments {
			if !r.read(s) {
				return
			}
		}
	}()
	return r
}

// close ends the reading and waits for its end.
func (r *readAhead) close() {
	close(r.stop)
	for range r.full { // until it is closed
	}
}

// read reads a segment and says whether to go on. What the file lacks reads as zeros.
func (r *readAhead) read(s *segment) bool {
	file := s.acquire()
	if file == nil {
		return true
	}
	defer file.release()
	for at, end := int64(0), int64(s.end.Load()); at < end; at += scanBytes {
		b := block{segment: s.head.number, at: at, n: int(min(scanBytes, end-at)), buf: r.buffer()}
		if b.buf == nil {
			return false
		}
		n, err := file.ReadAt(b.bytes(), at)
		if err != nil && !errors.Is(err, io.EOF) {
			b.n, b.err = 0, err
			r.full <- b
			return false
		}
		clear(b.bytes()[n:])
		r.full <- b
	}
	return true
}

// buffer waits for an empty one, unless there may be more of them; nil when nothing more is wanted.
func (r *readAhead) buffer() []byte {
	select {
	case <-r.stop:
		return nil
	case buf := <-r.empty:
		return buf
	default:
	}
	if r.made < aheadBlocks {
		r.made++
		return make([]byte, headroom+scanBytes)
	}
	select {
	case <-r.stop:
		return nil
	case buf := <-r.empty:
		return buf
	}
}

// follow makes s.buf hold n bytes at an offset, of which it has none or the first.
func (s *scanner) follow(offset uint32, n int) error {
	for s.start+int64(len(s.buf)) < int64(offset)+int64(n) {
		b, ok := <-s.ahead.full
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", s.name, io.ErrUnexpectedEOF)
		case b.err != nil:
			return fmt.Errorf("%s: %w", s.name, b.err)
		case b.segment == s.number:
			s.append(b, int64(offset))
		default: // what is left of a segment before
			s.ahead.empty <- b.buf
		}
	}
	return nil
}

// append puts a block behind what s.buf has from an offset on, by putting that into the block's headroom. Where it does not fit
// there, a frame is longer than a block, and is collected apart.
func (s *scanner) append(b block, from int64) {
	if from == s.start && len(s.buf) > headroom && s.lent == nil {
		s.long = append(s.long, b.bytes()...)
		s.buf = s.long
		s.ahead.empty <- b.buf
		return
	}
	rest := s.buf[min(max(from-s.start, 0), int64(len(s.buf))):]
	s.start = b.at - int64(len(rest))
	if len(rest) > headroom {
		s.long = append(append(s.long[:0], rest...), b.bytes()...)
		s.buf = s.long
		s.ahead.empty <- b.buf
		s.giveBack()
		return
	}
	copy(b.buf[headroom-len(rest):], rest)
	s.buf = b.buf[headroom-len(rest) : headroom+b.n]
	s.giveBack()
	s.lent = b.buf
}

// giveBack gives back the buffer that s.buf was a part of.
func (s *scanner) giveBack() {
	if s.lent != nil {
		s.ahead.empty <- s.lent
		s.lent = nil
	}
}
