package wal

import (
	"errors"
	"fmt"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
)

// span is a damaged range of a segment.
type span struct {
	from, to uint32
	reason   string
}

// survey is what is to be found in one segment, damaged or not.
type survey struct {
	name     string
	number   uint32
	size     int64 // of the file
	head     segmentHead
	readable bool // the salt is known: its frames can be told from noise
	guessed  bool // the head was made up from the seal
	mark     *seal
	end      uint32
	next     uint64 // sequence number after the last group found
	groups   uint32
	records  uint32
	live     int64 // bytes of records, with their heads
	gaps     int64
	torn     *journal.CorruptError
	spans    []span

	scan scanner
	keep func(offset uint32, frame []byte) error
}

// surveySegment reads all of a segment. Unlike a scanner it goes on behind damage, and calls keep, if there is one, for
// the frame of every record that is whole by itself, in order. Its error is the file's or keep's.
func surveySegment(
	file vfs.File, number uint32, last bool, keep func(offset uint32, frame []byte) error,
) (*survey, error) {
	v := &survey{name: segmentName(number), number: number, keep: keep}
	size, err := file.Size()
	if err != nil {
		return nil, err
	}
	v.size = size
	if err := v.readEnds(file); err != nil || !v.readable {
		return v, err
	}
	v.scan.reset(file, v.name, number, v.head.salt)
	if err := v.findEnd(last); err != nil {
		return v, err
	}
	if v.head.sparse {
		return v, v.surveyFrames()
	}
	return v, v.surveyGroups()
}

// surveyFrames reads a sparse segment. One that lost its seal ends with its last whole frame.
func (v *survey) surveyFrames() error {
	if err := v.salvage(headBytes, v.end); err != nil || v.mark != nil {
		return err
	}
	if n := len(v.spans); n > 0 && v.spans[n-1].to == v.end {
		v.end = v.spans[n-1].from
		v.spans = v.spans[:n-1]
	}
	v.next = v.head.first
	v.damaged(uint32(v.head.size-sealBytes), uint32(v.head.size), "no seal on a sparse segment")
	return nil
}

func (v *survey) damaged(from, to uint32, reason string) {
	if n := len(v.spans); n > 0 && v.spans[n-1].to == from {
		v.spans[n-1].to = to
		return
	}
	v.spans = append(v.spans, span{from, to, reason})
}

// readEnds learns the salt: from the head or, if that is damaged, from the seal.
func (v *survey) readEnds(file vfs.File) error {
	p, err := readPadded(file, 0, headBytes)
	if err != nil {
		return err
	}
	head, wrong := decodeHead(p)
	if wrong == "" && head.number != v.number {
		wrong = fmt.Sprintf("says that it is segment %d", head.number)
	}
	v.head, v.readable = head, wrong == ""
	if !v.readable {
		v.spans = []span{{0, headBytes, wrong}}
		v.head.size = max(v.size, headBytes+sealBytes)
	}
	if p, err = readPadded(file, v.head.size-sealBytes, sealBytes); err != nil {
		return err
	}
	mark, ok := decodeSeal(p)
	ok = ok && (!v.readable || mark.salt == head.salt) && mark.number == v.number && mark.end >= headBytes &&
		int64(mark.end) <= v.head.size-sealBytes
	switch {
	case ok && v.readable:
		v.mark = &mark
	case ok:
		return v.trustSeal(file, mark)
	case !v.readable:
		v.spans = []span{{0, uint32(min(v.size, 2*journal.MaxGroupBytes)), wrong}}
	case v.size > head.size:
		v.damaged(uint32(head.size), uint32(min(v.size, 2*journal.MaxGroupBytes)), "file too long")
	}
	return nil
}

// trustSeal makes up a damaged head from what the seal says and the frames show.
func (v *survey) trustSeal(file vfs.File, mark seal) error {
	v.mark, v.readable, v.guessed = &mark, true, true
	v.head = segmentHead{number: v.number, salt: mark.salt, size: v.size, first: mark.next, sparse: true}
	v.scan.reset(file, v.name, v.number, mark.salt)
	return v.scan.findHeads(headBytes, mark.end, func(_ uint32, g groupHead) error {
		v.head.first, v.head.sparse = min(v.head.first, g.sequence), false
		return nil
	})
}

// findEnd learns how far frames go. Without a seal that is where the last whole group ends.
func (v *survey) findEnd(last bool) error {
	if v.mark != nil {
		v.end = v.mark.end
		return nil
	}
	limit := uint32(v.head.size - sealBytes)
	if v.head.sparse {
		v.end = limit
		return nil
	}
	t, err := v.scan.findTail(limit, v.head.first)
	var damage *journal.CorruptError
	if err != nil && !errors.As(err, &damage) {
		return err
	}
	v.end = t.end
	if err == nil && last {
		v.torn = t.torn
		return nil
	}
	var heads []uint32
	err = v.scan.findHeads(t.end, limit, func(at uint32, g groupHead) error {
		heads = append(heads, at)
		v.end = max(v.end, min(g.synced, at)) // that far there was something, even if this group is not whole
		return nil
	})
	for _, at := range heads {
		if g, whole, err := v.wholeGroup(at, limit); err != nil {
			return err
		} else if whole {
			v.end = max(v.end, at+groupHeadBytes+g.length)
		}
	}
	if !last {
		v.damaged(uint32(v.head.size-sealBytes), uint32(v.head.size), "no seal, though it is not the last segment")
	}
	return err
}

// wholeGroup reads the group at an offset, whatever its sequence number, and says whether it is whole. The head is good
// for its bounds even when the group is not, unless its length is zero.
func (v *survey) wholeGroup(at, limit uint32) (g groupHead, whole bool, err error) {
	if int64(at)+groupHeadBytes > int64(limit) {
		return groupHead{}, false, nil
	}
	p, err := v.scan.bytes(at, groupHeadBytes)
	if err != nil {
		return groupHead{}, false, err
	}
	g, ok := decodeGroup(p, v.scan.key, at)
	if !ok || int64(at)+groupHeadBytes+int64(g.length) > int64(limit) || g.length%alignment != 0 || g.records == 0 {
		return groupHead{}, false, nil
	}
	err = v.scan.group(at, g, nil)
	var damage *journal.CorruptError
	if errors.As(err, &damage) {
		return g, false, nil
	}
	return g, err == nil, err
}

func (v *survey) surveyGroups() error {
	v.next = v.head.first
	for at := uint32(headBytes); at < v.end; {
		g, whole, err := v.wholeGroup(at, v.end)
		if err != nil {
			return err
		}
		from, to := at+groupHeadBytes, at+groupHeadBytes+g.length
		switch {
		case g.length == 0:
			if to, err = v.nextHead(at + alignment); err != nil {
				return err
			}
			from = at
		case whole && g.sequence != v.next:
			v.damaged(at, at+groupHeadBytes, fmt.Sprintf("group %d where %d is due", g.sequence, v.next))
		case !whole:
			v.damaged(at, at+groupHeadBytes, "the group is not whole")
		}
		if err := v.salvage(from, to); err != nil {
			return err
		}
		if g.length > 0 {
			v.groups, v.next = v.groups+1, g.sequence+1
		}
		at = to
	}
	if v.mark != nil {
		v.next = v.mark.next
	}
	return nil
}

// nextHead returns the offset of the next group's head, or the end.
func (v *survey) nextHead(from uint32) (uint32, error) {
	found := errors.New("found")
	next := v.end
	err := v.scan.findHeads(from, v.end, func(at uint32, _ groupHead) error {
		next = at
		return found
	})
	if errors.Is(err, found) {
		err = nil
	}
	return next, err
}

// salvage passes on every whole record in a range of frames. What lies between them is a gap or damaged.
func (v *survey) salvage(from, to uint32) error {
	var damage *journal.CorruptError
	for at := from; at < to; {
		r, _, next, err := v.scan.frame(at, to)
		switch {
		case errors.As(err, &damage):
			next = min(at+alignment, to)
			v.damaged(at, next, damage.Reason)
		case err != nil:
			return err
		case r.Type == 0:
			v.gaps += int64(next - at)
		default:
			v.records++
			v.live += int64(next - at)
			if err := v.pass(at, next); err != nil {
				return err
			}
		}
		at = next
	}
	return nil
}

// pass gives a record's frame to keep.
func (v *survey) pass(from, to uint32) error {
	if v.keep == nil {
		return nil
	}
	frame, err := v.scan.bytes(from, int(to-from))
	if err != nil {
		return err
	}
	return v.keep(from, frame)
}
