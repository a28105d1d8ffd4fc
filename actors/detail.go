package actors

import (
	"encoding/binary"

	"github.com/hooktroupe/hooktroupe/task"
)

// detail is what attempts, and operators, have left behind. It is immutable.
type detail struct {
	err    string
	result []byte
	log    []attempt
	order  int64 // the task's place in its lane, where somebody moved it
	burst  int64 // when the burst began that it is the last of
}

// isEmpty says whether it says nothing; nil does not.
func (d *detail) isEmpty() bool {
	return d == nil || d.err == "" && len(d.result) == 0 && len(d.log) == 0 && d.order == 0 && d.burst == 0
}

// attempt is one line of the attempt log.
type attempt struct {
	number             uint32
	startedAt, endedAt int64
	outcome            task.Outcome
	err                string
}

// maxAttemptLog bounds the attempt log of a task: the newest are kept.
const maxAttemptLog = 50

// packedDetail is a detail as the table keeps it, for a million tasks may each have one: what was said, which most share
// with others, and the rest as varints, one after the other:
//
//	text of err · order · burst · number of lines · (number · start · duration · outcome · text of err) for each · result
//
// A text is its place in said, from 1, and 0 for none. Nothing at all is known where rest is empty.
type packedDetail struct {
	said *saying
	rest string
}

// saying is the last of the texts of one detail, behind those before it. Tasks that fail alike share all of it.
type saying struct {
	before *saying
	text   string
	place  int // from 1
	shared bool
}

// sayings are those seen lately: what fails for one reason fails for many.
type sayings map[saidAfter]*saying

type saidAfter struct {
	before *saying
	text   string
}

// maxSayings bounds how many are remembered, and maxShared the texts worth it, in bytes.
const (
	maxSayings = 10_000
	maxShared  = 512
)

// add returns what was said with one text more, and where it stands.
func (known *sayings) add(before *saying, text string) (*saying, int) {
	if text == "" {
		return before, 0
	}
	for s := before; s != nil; s = s.before {
		if s.text == text {
			return before, s.place
		}
	}
	key, place := saidAfter{before, text}, 1
	if before != nil {
		place = before.place + 1
	}
	if s, ok := (*known)[key]; ok {
		return s, place
	}
	s := &saying{before: before, text: text, place: place}
	if s.shared = len(text) <= maxShared && (before == nil || before.shared); s.shared {
		if *known == nil || len(*known) >= maxSayings {
			*known = make(sayings)
		}
		(*known)[key] = s
	}
	return s, place
}

// at returns the text that stands at a place.
func (s *saying) at(place int) string {
	if place == 0 {
		return ""
	}
	for s.place != place {
		s = s.before
	}
	return s.text
}

// pack makes a detail short. Nil, and one that says nothing, become the zero packedDetail.
func (known *sayings) pack(d *detail) packedDetail {
	if d.isEmpty() {
		return packedDetail{}
	}
	var said *saying
	var place int
	var buffer [64]byte
	lines := binary.AppendUvarint(buffer[:0], uint64(len(d.log)))
	for _, a := range d.log {
		said, place = known.add(said, a.err)
		lines = binary.AppendUvarint(lines, uint64(a.number))
		lines = binary.AppendVarint(lines, a.startedAt)
		lines = binary.AppendVarint(lines, a.endedAt-a.startedAt)
		lines = binary.AppendUvarint(lines, uint64(a.outcome))
		lines = binary.AppendUvarint(lines, uint64(place))
	}
	said, place = known.add(said, d.err)
	rest := make([]byte, 0, 3*binary.MaxVarintLen64+len(lines)+len(d.result))
	rest = binary.AppendUvarint(rest, uint64(place))
	rest = binary.AppendVarint(rest, d.order)
	rest = binary.AppendVarint(rest, d.burst)
	rest = append(append(rest, lines...), d.result...)
	return packedDetail{said: said, rest: string(rest)}
}

// err is the detail's, without the cost of unpacking the rest.
func (p packedDetail) err() string {
	if p.rest == "" {
		return ""
	}
	rest := unpacker(p.rest)
	return p.said.at(int(rest.unsigned()))
}

// place is the detail's order and burst.
func (p packedDetail) place() (order, burst int64) {
	if p.rest == "" {
		return 0, 0
	}
	rest := unpacker(p.rest)
	rest.unsigned()
	return rest.signed(), rest.signed()
}

// unpack is the inverse of pack. The zero packedDetail becomes an empty detail.
func (p packedDetail) unpack() *detail {
	d := &detail{}
	if p.rest == "" {
		return d
	}
	rest := unpacker(p.rest)
	d.err = p.said.at(int(rest.unsigned()))
	d.order, d.burst = rest.signed(), rest.signed()
	if n := rest.unsigned(); n > 0 {
		d.log = make([]attempt, n)
	}
	for i := range d.log {
		a := &d.log[i]
		a.number, a.startedAt = uint32(rest.unsigned()), rest.signed()
		a.endedAt = a.startedAt + rest.signed()
		a.outcome, a.err = task.Outcome(rest.unsigned()), p.said.at(int(rest.unsigned()))
	}
	if rest != "" {
		d.result = []byte(rest)
	}
	return d
}

// unpacker reads varints that pack wrote from the front of a string.
type unpacker string

func (u *unpacker) unsigned() uint64 {
	var v uint64
	for shift := 0; ; shift += 7 {
		b := (*u)[0]
		*u = (*u)[1:]
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

func (u *unpacker) signed() int64 {
	v := u.unsigned()
	return int64(v>>1) ^ -int64(v&1)
}

// logWith returns a copy of the attempt log with one more line, without the oldest where it would be too long.
func (d *detail) logWith(line attempt) []attempt {
	kept := d.log
	if len(kept) >= maxAttemptLog {
		kept = kept[len(kept)-maxAttemptLog+1:]
	}
	return append(append(make([]attempt, 0, len(kept)+1), kept...), line)
}
