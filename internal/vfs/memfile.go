package vfs

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
)

// sector is what a torn write is torn into, besides at any byte.
const sector = 512

// memFile is one opening of a node.
type memFile struct {
	fs       *Mem
	node     *node
	name     string
	writable bool
	closed   bool
}

// use locks the file system and checks that the file may be used so; the caller unlocks, whatever the answer.
func (f *memFile) use(op string, writing bool) error {
	f.fs.mu.Lock()
	switch {
	case f.closed:
		return &fs.PathError{Op: op, Path: f.name, Err: fs.ErrClosed}
	case writing && !f.writable:
		return &fs.PathError{Op: op, Path: f.name, Err: syscall.EBADF}
	}
	return nil
}

// ReadAt reads what was written, synced or not.
func (f *memFile) ReadAt(p []byte, at int64) (int, error) {
	err := f.use("read", false)
	defer f.fs.mu.Unlock()
	if err != nil {
		return 0, err
	}
	if at >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes; a power cut before Sync may keep any part of it.
func (f *memFile) WriteAt(p []byte, at int64) (int, error) {
	err := f.use("write", true)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = f.fs.room(f.name, at+int64(len(p))-int64(len(f.node.data)))
	}
	if err != nil || len(p) == 0 {
		return 0, err
	}
	f.node.write(write{at: at, bytes: append([]byte(nil), p...)})
	return len(p), nil
}

// Zero writes zeros.
func (f *memFile) Zero(at, size int64) (int64, error) { return writeZeros(f, at, size) }

// Truncate sets the size.
func (f *memFile) Truncate(size int64) error {
	err := f.use("truncate", true)
	defer f.fs.mu.Unlock()
	if err == nil {
		err = f.fs.room(f.name, size-int64(len(f.node.data)))
	}
	if err == nil {
		f.node.write(write{size: size})
	}
	return err
}

// Allocate grows the file to size bytes.
func (f *memFile) Allocate(size int64) error {
	if now, err := f.Size(); err != nil || now >= size {
		return err
	}
	return f.Truncate(size)
}

// Size is that of what was written.
func (f *memFile) Size() (int64, error) {
	err := f.use("stat", false)
	defer f.fs.mu.Unlock()
	return int64(len(f.node.data)), err
}

// Sync makes what was written durable, though not the file's name.
func (f *memFile) Sync() error {
	err := f.use("sync", false)
	defer f.fs.mu.Unlock()
	if err != nil {
		return err
	}
	for _, w := range f.node.writes {
		f.node.synced = w.apply(f.node.synced)
	}
	f.node.writes = nil
	return nil
}

// Close ends the use of this opening.
func (f *memFile) Close() error {
	err := f.use("close", false)
	defer f.fs.mu.Unlock()
	f.closed = true
	return err
}

func (n *node) write(w write) {
	n.data = w.apply(n.data)
	n.writes = append(n.writes, w)
}

// apply returns data with the write done.
func (w write) apply(data []byte) []byte {
	if w.bytes == nil {
		if w.size <= int64(len(data)) {
			return data[:w.size:w.size]
		}
		return append(data, make([]byte, w.size-int64(len(data)))...)
	}
	if grow := w.at + int64(len(w.bytes)) - int64(len(data)); grow > 0 {
		data = append(data, make([]byte, grow)...)
	}
	copy(data[w.at:], w.bytes)
	return data
}

// PowerCut returns the file system as it may be found after a power cut now: everything that was synced, and of the
// rest what chance decides. A write that was not synced is lost, whole, or torn: at any byte or by sectors. Of the
// changes of names that were not synced the first few are kept. A nil chance loses all that was not synced. The file
// system itself goes on as if nothing had happened; the new one has no locks and shares nothing with it.
func (m *Mem) PowerCut(chance *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem(m.capacity)
	for dir := range m.dirs {
		after.dirs[dir] = true
	}
	for name, n := range m.durable {
		after.durable[name] = n
	}
	if chance != nil && len(m.changes) > 0 {
		for _, c := range m.changes[:chance.IntN(len(m.changes)+1)] {
			c.apply(after.durable)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after.durable)) { // in order: the same chance, the same outcome
		left := after.durable[name].afterPowerCut(chance)
		after.durable[name], after.names[name] = left, left
	}
	return after
}

func (n *node) afterPowerCut(chance *rand.Rand) *node {
	data := append([]byte(nil), n.synced...)
	for _, w := range n.writes {
		if chance == nil {
			break
		}
		for _, part := range w.tear(chance) {
			data = part.apply(data)
		}
	}
	return &node{data: data, synced: append([]byte(nil), data...)}
}

// tear returns the parts of a write that a power cut leaves.
func (w write) tear(chance *rand.Rand) []write {
	fate := chance.IntN(4)
	switch {
	case fate == 0:
		return nil
	case fate == 1 || len(w.bytes) == 0:
		return []write{w}
	case fate == 2:
		from := chance.IntN(len(w.bytes))
		to := from + chance.IntN(len(w.bytes)-from+1)
		return []write{w.part(from, to)}
	default:
		var kept []write
		for from := 0; from < len(w.bytes); {
			to := min(from+sector-int((w.at+int64(from))%sector), len(w.bytes))
			if chance.IntN(2) == 0 {
				kept = append(kept, w.part(from, to))
			}
			from = to
		}
		return kept
	}
}

// part is the write of bytes from..to of w only.
func (w write) part(from, to int) write {
	return write{at: w.at + int64(from), bytes: w.bytes[from:to]}
}
