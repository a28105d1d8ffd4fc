package body

import (
	"encoding/binary"
	"math/bits"

	"github.com/hooktroupe/hooktroupe/source"
)

// maxMembers bounds how many members of the outermost object one scan takes note of. No forge sends more; an object that
// has more is gone through again by whoever asks for its members.
const maxMembers = 64

// member is where a member of the outermost object stands in the text: its name between the quotes, as it is written, and
// its value.
type member struct {
	name, nameEnd   int
	value, valueEnd int
}

// scanner goes through a JSON text once, by the grammar of RFC 8259, and takes note of the members of the outermost
// object. It holds the open brackets in a stack of fixed size, so that no text makes it recurse.
//
// Strings make up most of a body. They are searched eight bytes at a time for what ends them or needs a closer look.
type scanner struct {
	raw     []byte
	at      int
	depth   int
	objects [MaxDepth]bool // which of the open brackets are those of objects
	members []member
	many    bool // there are more members than noted
}

// scan checks that raw is one JSON value and nothing but space around it.
func (s *scanner) scan() error {
	for {
		closed, err := s.value()
		if err != nil {
			return err
		}
		for closed {
			if s.depth == 0 {
				s.space()
				return s.check(s.at == len(s.raw))
			}
			if closed, err = s.follow(); err != nil {
				return err
			}
		}
	}
}

// value reads a value. It says whether the value is complete: an object or array that has something in it has only begun.
func (s *scanner) value() (closed bool, err error) {
	s.space()
	if s.depth == 1 && s.objects[0] {
		s.noteValue()
	}
	switch c := s.peek(); c {
	case '{', '[':
		return s.open(c == '{')
	case '"':
		return true, s.check(s.text())
	case 't':
		return true, s.check(s.literal("true"))
	case 'f':
		return true, s.check(s.literal("false"))
	case 'n':
		return true, s.check(s.literal("null"))
	default:
		return true, s.check(s.number())
	}
}

// open reads an opening bracket, and the first name of an object.
func (s *scanner) open(object bool) (closed bool, err error) {
	if s.depth == MaxDepth {
		return false, &source.Malformed{Detail: "body nests too deep"}
	}
	s.objects[s.depth] = object
	s.depth++
	s.at++
	s.space()
	switch c := s.peek(); {
	case object && c == '}', !object && c == ']':
		s.at++
		s.depth--
		return true, nil
	case object:
		return false, s.check(s.name())
	default:
		return false, nil
	}
}

// follow reads what follows a complete value inside an object or array. It says whether that completed another one: the
// object or array itself.
func (s *scanner) follow() (closed bool, err error) {
	object := s.objects[s.depth-1]
	if s.depth == 1 && object {
		s.noteEnd()
	}
	s.space()
	c := s.peek()
	s.at++
	switch {
	case c == ',' && object:
		s.space()
		return false, s.check(s.name())
	case c == ',':
		return false, nil
	case c == '}' && object, c == ']' && !object:
		s.depth--
		return true, nil
	default:
		return false, s.check(false)
	}
}

// name reads the name of a member and the colon behind it.
func (s *scanner) name() bool {
	begin := s.at
	if s.peek() != '"' || !s.text() {
		return false
	}
	if s.depth == 1 {
		s.noteName(begin+1, s.at-1)
	}
	s.space()
	s.at++
	return s.at <= len(s.raw) && s.raw[s.at-1] == ':'
}

func (s *scanner) noteName(begin, end int) {
	if len(s.members) == maxMembers {
		s.many = true
		return
	}
	s.members = append(s.members, member{name: begin, nameEnd: end})
}

func (s *scanner) noteValue() {
	if last := len(s.members) - 1; !s.many {
		s.members[last].value = s.at
	}
}

func (s *scanner) noteEnd() {
	if last := len(s.members) - 1; !s.many {
		s.members[last].valueEnd = s.at
	}
}

// peek returns the next byte; zero, which begins nothing, at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.raw) {
		return s.raw[s.at]
	}
	return 0
}

// space skips what may stand between any two tokens. Bodies are mostly sent without any.
func (s *scanner) space() {
	if s.peek() <= ' ' {
		s.skipSpace()
	}
}

func (s *scanner) skipSpace() {
	for s.at < len(s.raw) {
		switch s.raw[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) check(ok bool) error {
	if ok {
		return nil
	}
	return &source.Malformed{Detail: "body is not JSON"}
}

// text reads a string, of which the opening quote is next.
func (s *scanner) text() bool {
	at := s.at + 1
	for {
		at = plain(s.raw, at)
		if at >= len(s.raw) {
			return false
		}
		switch s.raw[at] {
		case '"':
			s.at = at + 1
			return true
		case '\\':
			n := escape(s.raw[at:])
			if n == 0 {
				return false
			}
			at += n
		default: // a control character
			return false
		}
	}
}

// plain returns the index of the first byte from at on that is a quote, a backslash or a control character; the length of
// raw if there is none.
func plain(raw []byte, at int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; at+8 <= len(raw); at += 8 {
		word := binary.LittleEndian.Uint64(raw[at:])
		quote, backslash := word^(ones*'"'), word^(ones*'\\')
		// Each term has the high bit of every byte set that is what it looks for. Borrows can set more of them, but only
		// above one that is rightly set, and the lowest is what counts.
		found := ((quote - ones) &^ quote) | ((backslash - ones) &^ backslash) | ((word - ones*' ') &^ word)
		if found &= highs; found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
	}
	for ; at < len(raw); at++ {
		if c := raw[at]; c == '"' || c == '\\' || c < ' ' {
			return at
		}
	}
	return at
}

// escape returns the length of the escape sequence at the beginning of raw; zero if it is none.
func escape(raw []byte) int {
	if len(raw) < 2 {
		return 0
	}
	switch raw[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		const length = len(`\u0000`)
		if len(raw) < length {
			return 0
		}
		for _, c := range raw[2:length] {
			if !isHex(c) {
				return 0
			}
		}
		return length
	}
	return 0
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func (s *scanner) literal(word string) bool {
	if len(s.raw)-s.at < len(word) || string(s.raw[s.at:s.at+len(word)]) != word {
		return false
	}
	s.at += len(word)
	return true
}

// number reads a number: a sign, an integer without leading zeros, a fraction, an exponent.
func (s *scanner) number() bool {
	if s.peek() == '-' {
		s.at++
	}
	if s.peek() == '0' {
		s.at++
	} else if !s.digits() {
		return false
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		return s.digits()
	}
	return true
}

// digits reads at least one digit.
func (s *scanner) digits() bool {
	begin := s.at
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > begin
}
