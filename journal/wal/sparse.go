package wal

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
)

// sparseFile writes the sparse successor of a segment under a temporary name: the frames that it is given, in order and
// at their offsets, and a gap before each that does not follow the one before it.
type sparseFile struct {
	folder  folder
	head    segmentHead
	key     key
	file    vfs.File
	written *atomic.Uint64

	at      uint32 // where the next frame goes, unless there is a gap
	records uint32
	buf     []byte // what is not written yet, up to at
	page    int64  // offset behind the last page that takes disk
	held    int64  // bytes of disk
	pause   func(time.Duration)
	began   time.Time // of the piece that is copied now
	copied  int64     // in that piece
}

// newSparse creates the file. Every mebibyte that is copied is followed by a call of pause with the time it took.
func newSparse(
	f folder, head segmentHead, written *atomic.Uint64, pause func(time.Duration),
) (*sparseFile, error) {
	head.sparse = true
	w := &sparseFile{
		folder: f, head: head, key: newKey(head.salt), written: written, at: headBytes, pause: pause, began: time.Now(),
	}
	file, err := f.fs.Create(w.temporary())
	if err != nil {
		return nil, err
	}
	w.file = file
	err = file.Truncate(head.size)
	if err == nil {
		err = w.write(head.encode(), 0)
	}
	if err != nil {
		return nil, errors.Join(err, w.abandon())
	}
	return w, nil
}

func (w *sparseFile) temporary() string { return w.folder.path(segmentName(w.head.number) + temporary) }

// put copies a whole frame to its offset.
func (w *sparseFile) put(offset uint32, frame []byte) error {
	if offset < w.at {
		return fmt.Errorf("segment %d: the live record at %d is out of order", w.head.number, offset)
	}
	if err := w.gap(offset); err != nil {
		return err
	}
	w.buf = append(w.buf, frame...)
	w.at += uint32(len(frame))
	w.records++
	if len(w.buf) >= scanBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.rest(int64(len(frame)))
	return nil
}

// rest leaves disk and processor to others after each mebibyte.
func (w *sparseFile) rest(copied int64) {
	if w.copied += copied; w.copied >= scanBytes {
		w.pause(time.Since(w.began))
		w.copied, w.began = 0, time.Now()
	}
}

// gap fills the file with a gap up to an offset.
func (w *sparseFile) gap(to uint32) error {
	if to == w.at {
		return nil
	}
	var head [recordHeadBytes]byte
	recordHead{length: to - w.at - recordHeadBytes, kind: kindGap}.put(head[:], w.key, w.at)
	w.buf = append(w.buf, head[:]...)
	w.at += recordHeadBytes
	if err := w.flush(); err != nil {
		return err
	}
	w.at = to
	return nil
}

func (w *sparseFile) flush() error {
	if len(w.buf) == 0 {
		return nil
	}
	err := w.write(w.buf, int64(w.at)-int64(len(w.buf)))
	w.buf = w.buf[:0]
	return err
}

// write counts, beside the bytes written, the pages that they are the first to touch.
func (w *sparseFile) write(p []byte, at int64) error {
	n, err := w.file.WriteAt(p, at)
	w.written.Add(uint64(n))
	from, to := max(at&^(pageBytes-1), w.page), paged(at+int64(len(p)))
	if to > from {
		w.held += to - from
		w.page = to
	}
	return err
}

// finish completes the file up to end, seals it, and gives it the segment's name, durably. It returns the open file and
// its seal, for a caller that got no error or one that came after the rename; otherwise nothing has changed.
func (w *sparseFile) finish(end uint32, mark seal) (vfs.File, seal, error) {
	err := w.gap(end)
	if err == nil {
		err = w.flush()
	}
	last := (w.head.size - sealBytes) &^ (pageBytes - 1)
	mark.held = w.held + paged(w.head.size) - max(last, w.page)
	mark.records = w.records
	if err == nil {
		err = w.write(mark.encode(), w.head.size-sealBytes)
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err == nil {
		err = w.folder.fs.Rename(w.temporary(), w.folder.path(segmentName(w.head.number)))
	}
	if err != nil {
		return nil, mark, errors.Join(err, w.abandon())
	}
	return w.file, mark, w.folder.sync()
}

// abandon removes the file.
func (w *sparseFile) abandon() error {
	return errors.Join(w.file.Close(), w.folder.fs.Remove(w.temporary()))
}
