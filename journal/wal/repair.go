package wal

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
)

// quarantineNote is the file that says what the others in a quarantine folder are.
const quarantineNote = "what.txt"

// Cut is one damaged range that Repair took out.
type Cut struct {
	// Damage says where it was and why.
	Damage journal.CorruptError
	// Bytes is its length.
	Bytes int64
	// Kept is the file in the quarantine folder that has these bytes.
	Kept string
}

// Repair cuts everything that is damaged out of the journal in a folder, so that it opens, and returns what it cut. It
// keeps every record that is whole by itself, even of a group that is not, at its position; and it keeps what it cuts
// in a new folder quarantine-0001, -0002 … beside the segments, whose path it returns, empty if there was nothing to
// cut. A damaged snapshot is moved there whole: what the records still tell is recovered without it. A torn tail is left
// to opening. It takes the lock: ErrLocked means that the journal is in use. A crash in the middle loses nothing; Repair
// can be called again.
func Repair(dir string, opts ...Option) (cuts []Cut, quarantine string, err error) {
	f := folder{options: newOptions(opts), dir: dir}
	lock, err := f.lock()
	if err != nil {
		return nil, "", err
	}
	r := &repair{folder: f}
	err = errors.Join(r.run(), lock.Close())
	return r.cuts, r.dir, err
}

// repair is one call of Repair.
type repair struct {
	folder folder
	dir    string // of the quarantine; empty until there is something to cut
	cuts   []Cut
	found  []*survey // every segment
	state  Report    // of the snapshot
}

func (r *repair) run() error {
	var broken []int
	err := r.folder.surveyAll(func(v *survey) error {
		if len(v.spans) > 0 {
			broken = append(broken, len(r.found))
		}
		r.found = append(r.found, v)
		return nil
	})
	if err == nil {
		err = r.state.verifySnapshot(&Snapshots{folder: r.folder})
	}
	if err != nil || len(broken) == 0 && len(r.state.Damage) == 0 {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	for _, i := range broken {
		if err := r.quarantine(r.found[i]); err != nil {
			return err
		}
	}
	for _, wrong := range r.state.Damage {
		if err := r.quarantineSnapshot(wrong); err != nil {
			return err
		}
	}
	if err := r.note(); err != nil {
		return err
	}
	for _, i := range broken {
		if err := r.rewrite(i); err != nil {
			return err
		}
	}
	if len(r.state.Damage) == 0 {
		return nil
	}
	return errors.Join(r.folder.fs.Remove(r.folder.path(snapshotName)), r.folder.sync())
}

// quarantineSnapshot copies the whole snapshot.
func (r *repair) quarantineSnapshot(wrong *journal.CorruptError) error {
	file, err := r.folder.fs.Open(r.folder.path(snapshotName))
	if err != nil {
		return err
	}
	size, err := file.Size()
	if err == nil {
		err = r.create(snapshotName, func(out io.Writer) error {
			_, err := io.Copy(out, io.NewSectionReader(file, 0, size))
			return err
		})
	}
	r.cuts = append(r.cuts, Cut{Damage: *wrong, Bytes: size, Kept: snapshotName})
	return errors.Join(err, file.Close())
}

// open makes the quarantine folder.
func (r *repair) open() error {
	for n := 1; ; n++ {
		dir := r.folder.path(fmt.Sprintf(quarantineName, n))
		if names, err := r.folder.fs.List(dir); err == nil && len(names) > 0 {
			continue
		}
		if err := r.folder.fs.MakeDir(dir); err != nil {
			return err
		}
		r.dir = dir
		return r.folder.sync()
	}
}

// quarantine copies the damaged ranges of a segment.
func (r *repair) quarantine(v *survey) error {
	file, err := r.folder.fs.Open(r.folder.path(v.name))
	if err != nil {
		return err
	}
	for _, s := range v.spans {
		kept := fmt.Sprintf("%0*d-%0*d.bin", digits, v.number, digits, s.from)
		if err := r.copy(file, s, kept); err != nil {
			return errors.Join(err, file.Close())
		}
		r.cuts = append(r.cuts, Cut{
			Damage: journal.CorruptError{File: v.name, Offset: int64(s.from), Reason: s.reason},
			Bytes:  int64(s.to - s.from), Kept: kept,
		})
	}
	return file.Close()
}

func (r *repair) copy(from vfs.File, s span, name string) error {
	in := io.NewSectionReader(from, int64(s.from), int64(s.to-s.from))
	return r.create(name, func(out io.Writer) error {
		_, err := io.Copy(out, in)
		return err
	})
}

// note writes what each file in quarantine is.
func (r *repair) note() error {
	return r.create(quarantineNote, func(out io.Writer) error {
		for _, c := range r.cuts {
			_, err := fmt.Fprintf(out, "%s: %d bytes of %s from offset %d: %s\n",
				c.Kept, c.Bytes, c.Damage.File, c.Damage.Offset, c.Damage.Reason)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// create makes a file in quarantine and brings it to stable storage.
func (r *repair) create(name string, fill func(io.Writer) error) error {
	file, err := r.folder.fs.Create(filepath.Join(r.dir, name))
	if err != nil {
		return err
	}
	err = fill(io.NewOffsetWriter(file, 0))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	return r.folder.fs.SyncDir(r.dir)
}

// rewrite puts a sparse segment with what is whole in the place of a damaged one, or an empty one if nothing of it can
// be read.
func (r *repair) rewrite(i int) error {
	v := r.found[i]
	if v.readable {
		r.fit(i)
	} else {
		r.invent(i)
	}
	w, err := newSparse(r.folder, v.head, new(atomic.Uint64), func(time.Duration) {})
	if err != nil {
		return err
	}
	if v.readable {
		if _, err := r.folder.survey(v.number, i == len(r.found)-1, w.put); err != nil {
			return errors.Join(err, w.abandon())
		}
	}
	mark := seal{number: v.number, end: v.end, salt: v.head.salt, next: v.after(), groups: v.groups}
	file, _, err := w.finish(v.end, mark)
	if file != nil {
		err = errors.Join(err, file.Close())
	}
	return err
}

// fit takes the sequence numbers that a segment has lost with its head or its seal from its neighbours, so that opening
// finds no gap between them.
func (r *repair) fit(i int) {
	v := r.found[i]
	if v.guessed && i > 0 {
		v.head.first = r.found[i-1].after()
	}
	if v.mark == nil && i+1 < len(r.found) && r.found[i+1].readable {
		v.next = r.found[i+1].head.first
	}
}

// invent makes up the head of an empty segment that fits between its neighbours.
func (r *repair) invent(i int) {
	v := r.found[i]
	v.head = segmentHead{number: v.number, salt: r.folder.salt(), size: pageBytes, first: 1}
	v.end = headBytes
	behind := i+1 < len(r.found) && r.found[i+1].readable
	if behind {
		v.head.first = r.found[i+1].head.first
	}
	if i > 0 {
		v.head.first = r.found[i-1].after()
	}
	v.next = v.head.first
	if behind {
		v.next = r.found[i+1].head.first
	}
}

// after is the sequence number of the group after a segment's last.
func (v *survey) after() uint64 {
	if v.mark != nil {
		return v.mark.next
	}
	return v.next
}
