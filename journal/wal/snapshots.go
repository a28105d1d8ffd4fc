package wal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/hooktroupe/hooktroupe/internal/vfs"
	"github.com/hooktroupe/hooktroupe/journal"
)

const (
	snapshotHeadBytes    = 64
	snapshotTrailerBytes = 12

	// snapshotSyncBytes is how much of a snapshot may be unsynced: a whole one at once would hold up the journal's
	// syncs.
	snapshotSyncBytes = 8 << 20
	snapshotBufBytes  = 1 << 20
)

var snapshotMagic = []byte("HOOKSNP\x00")

// Snapshots is journal.Snapshots in a file beside the segments.
type Snapshots struct {
	folder  folder
	written *atomic.Uint64
}

var _ journal.Snapshots = (*Snapshots)(nil)

// Snapshots returns the snapshots in the journal's folder; the bytes they write count in the journal's Stats.
func (j *Journal) Snapshots() *Snapshots {
	return &Snapshots{folder: j.folder, written: &j.counters.written}
}

// OpenSnapshots returns the snapshots in a folder, of which no journal need be open: for tools that look into them.
func OpenSnapshots(dir string, opts ...Option) *Snapshots {
	return &Snapshots{folder: folder{options: newOptions(opts), dir: dir}, written: new(atomic.Uint64)}
}

// Save writes the snapshot to a temporary file and puts it in the place of the one before once it is whole.
func (s *Snapshots) Save(covered journal.Position, write func(io.Writer) error) error {
	temp := s.folder.path(snapshotName + temporary)
	file, err := s.folder.fs.Create(temp)
	if err != nil {
		return snapshotError(err)
	}
	err = s.fill(file, covered, write)
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = s.folder.fs.Rename(temp, s.folder.path(snapshotName))
	}
	if err != nil {
		return errors.Join(snapshotError(err), s.folder.fs.Remove(temp))
	}
	return snapshotError(s.folder.sync())
}

func snapshotError(err error) error {
	switch {
	case err == nil:
		return nil
	case isFull(err):
		return full("save a snapshot", err)
	default:
		return fmt.Errorf("save a snapshot: %w", err)
	}
}

// fill writes head, content and trailer.
func (s *Snapshots) fill(file vfs.File, covered journal.Position, write func(io.Writer) error) error {
	out := &snapshotWriter{file: file, written: s.written}
	buffered := bufio.NewWriterSize(out, snapshotBufBytes)
	if _, err := buffered.Write(encodeSnapshotHead(covered)); err != nil {
		return err
	}
	if err := write(buffered); err != nil {
		return err
	}
	if err := buffered.Flush(); err != nil {
		return err
	}
	length := little.AppendUint64(nil, uint64(out.at-snapshotHeadBytes))
	sum := crc32.Update(out.sum, castagnoli, length)
	_, err := out.Write(little.AppendUint32(length, sum))
	return err
}

func encodeSnapshotHead(covered journal.Position) []byte {
	p := make([]byte, snapshotHeadBytes)
	copy(p, snapshotMagic)
	little.PutUint16(p[8:], version)
	little.PutUint32(p[12:], covered.Segment)
	little.PutUint32(p[16:], covered.Offset)
	little.PutUint32(p[20:], covered.Length)
	little.PutUint32(p[60:], crc32.Checksum(p[:60], castagnoli))
	return p
}

// snapshotWriter appends to a file, sums up, and syncs every now and then.
type snapshotWriter struct {
	file         vfs.File
	written      *atomic.Uint64
	at, unsynced int64
	sum          uint32
}

func (w *snapshotWriter) Write(p []byte) (int, error) {
	n, err := w.file.WriteAt(p, w.at)
	w.written.Add(uint64(n))
	w.sum = crc32.Update(w.sum, castagnoli, p[:n])
	w.at += int64(n)
	if w.unsynced += int64(n); err == nil && w.unsynced >= snapshotSyncBytes {
		w.unsynced = 0
		err = w.file.Sync()
	}
	return n, err
}

// Load checks head and length at once, the content while it is read.
func (s *Snapshots) Load() (journal.Position, io.ReadCloser, error) {
	file, err := s.folder.fs.Open(s.folder.path(snapshotName))
	if errors.Is(err, fs.ErrNotExist) {
		return journal.Position{}, nil, journal.ErrNoSnapshot
	}
	if err != nil {
		return journal.Position{}, nil, err
	}
	covered, r, err := openSnapshot(file)
	if err != nil {
		return journal.Position{}, nil, errors.Join(err, file.Close())
	}
	return covered, r, nil
}

func openSnapshot(file vfs.File) (journal.Position, *snapshotReader, error) {
	corrupt := func(at int64, reason string) (journal.Position, *snapshotReader, error) {
		return journal.Position{}, nil, &journal.CorruptError{File: snapshotName, Offset: at, Reason: reason}
	}
	size, err := file.Size()
	if err != nil {
		return journal.Position{}, nil, err
	}
	length := size - snapshotHeadBytes - snapshotTrailerBytes
	if length < 0 {
		return corrupt(size, "too short")
	}
	head, err := readPadded(file, 0, snapshotHeadBytes)
	if err != nil {
		return journal.Position{}, nil, err
	}
	trailer, err := readPadded(file, size-snapshotTrailerBytes, snapshotTrailerBytes)
	if err != nil {
		return journal.Position{}, nil, err
	}
	switch {
	case !bytes.HasPrefix(head, snapshotMagic):
		return corrupt(0, "not a snapshot")
	case little.Uint32(head[60:]) != crc32.Checksum(head[:60], castagnoli):
		return corrupt(0, "checksum of the snapshot's head")
	case little.Uint16(head[8:]) != version:
		return corrupt(8, fmt.Sprintf("format version %d is not known", little.Uint16(head[8:])))
	case little.Uint64(trailer) != uint64(length):
		return corrupt(size-snapshotTrailerBytes, fmt.Sprintf("%d bytes of %d", length, little.Uint64(trailer)))
	}
	covered := journal.Position{
		Segment: little.Uint32(head[12:]), Offset: little.Uint32(head[16:]), Length: little.Uint32(head[20:]),
	}
	content := io.NewSectionReader(file, snapshotHeadBytes, length)
	return covered, &snapshotReader{
		file: file, in: bufio.NewReaderSize(content, snapshotBufBytes),
		sum: crc32.Checksum(head, castagnoli), trailer: trailer, size: size,
	}, nil
}

// snapshotReader sums up what it reads and tells at the end whether it was what was saved.
type snapshotReader struct {
	file    vfs.File
	in      *bufio.Reader
	sum     uint32
	trailer []byte
	size    int64
}

func (r *snapshotReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p)
	r.sum = crc32.Update(r.sum, castagnoli, p[:n])
	if errors.Is(err, io.EOF) && crc32.Update(r.sum, castagnoli, r.trailer[:8]) != little.Uint32(r.trailer[8:]) {
		return n, &journal.CorruptError{File: snapshotName, Offset: r.size - 4, Reason: "checksum of the snapshot"}
	}
	return n, err
}

func (r *snapshotReader) Close() error { return r.file.Close() }
