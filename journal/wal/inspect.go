package wal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/hooktroupe/hooktroupe/journal"
)

// State is what a segment is.
type State string

// The states of a segment.
const (
	// StateActive is the last segment, not sealed yet.
	StateActive State = "active"
	// StateSealed is complete and as it was written.
	StateSealed State = "sealed"
	// StateSparse was rewritten by compaction or repair.
	StateSparse State = "sparse"
	// StateDamaged has damage that only Repair removes.
	StateDamaged State = "damaged"
)

// Segment is what Inspect tells of one segment. Sizes are in bytes.
type Segment struct {
	// File is its name within the folder.
	File string
	// Number and Salt are those of its head.
	Number uint32
	Salt   uint64
	// Bytes is the size of the file, End how far its frames go.
	Bytes, End int64
	// Groups is zero in a sparse segment, which has none.
	Groups, Records int
	// LiveBytes is what its records take with their heads, GapBytes what compaction cut out.
	LiveBytes, GapBytes int64
	// First is the sequence number of its first group.
	First uint64
	// State sums up.
	State State
	// Torn is the torn tail that opening would cut; nil if there is none.
	Torn *journal.CorruptError
	// Damage lists what is damaged, in order of offset.
	Damage []*journal.CorruptError
}

// Inspect reads every segment of the journal in a folder and calls fn for each, in order. It changes nothing and needs
// no lock; the last segment of a journal that is in use may look torn, and a segment may be compacted away meanwhile.
func Inspect(dir string, fn func(Segment) error, opts ...Option) error {
	f := folder{options: newOptions(opts), dir: dir}
	return f.surveyAll(func(v *survey) error { return fn(v.segment()) })
}

// surveyAll surveys the segments one by one.
func (f folder) surveyAll(fn func(*survey) error) error {
	names, err := f.fs.List(f.dir)
	if err != nil {
		return err
	}
	numbers := segmentNumbers(names)
	for i, number := range numbers {
		v, err := f.survey(number, i == len(numbers)-1, nil)
		if errors.Is(err, fs.ErrNotExist) {
			continue // compacted meanwhile
		}
		if err != nil {
			return err
		}
		if err := fn(v); err != nil {
			return err
		}
	}
	return nil
}

func (f folder) survey(number uint32, last bool, keep func(uint32, []byte) error) (*survey, error) {
	file, err := f.fs.Open(f.path(segmentName(number)))
	if err != nil {
		return nil, err
	}
	v, err := surveySegment(file, number, last, keep)
	return v, errors.Join(err, file.Close())
}

func (v *survey) segment() Segment {
	s := Segment{
		File: v.name, Number: v.number, Salt: v.head.salt, First: v.head.first,
		Bytes: v.size, End: int64(v.end), LiveBytes: v.live, GapBytes: v.gaps,
		Groups: int(v.groups), Records: int(v.records), State: StateSealed, Torn: v.torn,
	}
	switch {
	case len(v.spans) > 0:
		s.State = StateDamaged
	case v.head.sparse:
		s.State = StateSparse
	case v.mark == nil:
		s.State = StateActive
	}
	for _, d := range v.spans {
		s.Damage = append(s.Damage, &journal.CorruptError{File: v.name, Offset: int64(d.from), Reason: d.reason})
	}
	return s
}

// Verdict is the sum of a verification, and the exit code that says it.
type Verdict int

// The verdicts.
const (
	// Sound: opening will find everything that was ever confirmed.
	Sound Verdict = 0
	// TornTail: sound but for a torn tail, which opening cuts.
	TornTail Verdict = 1
	// Damaged: opening or reading will refuse something.
	Damaged Verdict = 2
)

// String is one word.
func (v Verdict) String() string {
	switch v {
	case Sound:
		return "sound"
	case TornTail:
		return "torn"
	case Damaged:
		return "damaged"
	default:
		return fmt.Sprintf("verdict(%d)", int(v))
	}
}

// Report is what Verify found. Sizes are in bytes.
type Report struct {
	// Segments, Groups and Records count what is whole.
	Segments, Groups, Records int
	// Bytes is the size of all segment files.
	Bytes int64
	// HasSnapshot says that there is one; Covered is what it covers, if it is whole.
	HasSnapshot bool
	Covered     journal.Position
	// Torn is the torn tail; nil if there is none.
	Torn *journal.CorruptError
	// Damage lists what is damaged, by segment and offset, the snapshot's last.
	Damage []*journal.CorruptError
}

// Verdict sums the report up.
func (r Report) Verdict() Verdict {
	switch {
	case len(r.Damage) > 0:
		return Damaged
	case r.Torn != nil:
		return TornTail
	default:
		return Sound
	}
}

// Verify reads all of the journal and the snapshot in a folder, as Inspect does. Damage is in the report; the error is
// that of a file that could not be read.
func Verify(dir string, opts ...Option) (Report, error) {
	var r Report
	f := folder{options: newOptions(opts), dir: dir}
	var before *survey
	err := f.surveyAll(func(v *survey) error {
		s := v.segment()
		r.Segments++
		r.Groups += s.Groups
		r.Records += s.Records
		r.Bytes += s.Bytes
		r.Torn = s.Torn
		r.Damage = append(r.Damage, s.Damage...)
		if wrong := v.follows(before); wrong != nil {
			r.Damage = append(r.Damage, wrong)
		}
		before = v
		return nil
	})
	if err != nil {
		return r, err
	}
	return r, r.verifySnapshot(&Snapshots{folder: f})
}

// follows checks what Open checks between two segments that are otherwise sound.
func (v *survey) follows(before *survey) *journal.CorruptError {
	if before == nil || len(before.spans) > 0 || len(v.spans) > 0 || before.mark == nil {
		return nil
	}
	var wrong *journal.CorruptError
	a, b := newSegment(before.head, nil), newSegment(v.head, nil)
	a.restore(*before.mark)
	errors.As(follows(a, b), &wrong)
	return wrong
}

func (r *Report) verifySnapshot(s *Snapshots) error {
	var wrong *journal.CorruptError
	covered, in, err := s.Load()
	if errors.Is(err, journal.ErrNoSnapshot) {
		return nil
	}
	r.HasSnapshot = true
	if err == nil {
		_, err = io.Copy(io.Discard, in)
		err = errors.Join(err, in.Close())
	}
	if errors.As(err, &wrong) {
		r.Damage = append(r.Damage, wrong)
		return nil
	}
	r.Covered = covered
	return err
}
