package vfs

import (
	"io"
	"sync"
)

// Op is a kind of operation, to be counted or to fail.
type Op int

// The kinds. AnyOp stands for all of them; Close and Size are none.
const (
	AnyOp Op = iota
	OpOpen
	OpCreate
	OpRename
	OpRemove
	OpList
	OpMakeDir
	OpSyncDir
	OpLock
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpAllocate
)

// Failing passes everything on to another file system, counts it, and fails where it was told to. It is safe for use by
// several goroutines.
type Failing struct {
	fs    FS
	mu    sync.Mutex // guards what follows
	done  map[Op]int
	plans []plan
}

// plan is to fail the operations of a kind whose count lies in first..last.
type plan struct {
	op          Op
	first, last int
	err         error
}

// NewFailing returns a file system that does not fail yet.
func NewFailing(fs FS) *Failing { return &Failing{fs: fs, done: map[Op]int{}} }

// Fail makes operations of a kind fail with err: the nth from now (1 is the next) and those after it, times in all. A
// write that fails has written its first half; every other operation has done nothing.
func (f *Failing) Fail(op Op, nth, times int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := f.done[op] + nth
	f.plans = append(f.plans, plan{op: op, first: first, last: first + times - 1, err: err})
}

// Heal forgets every failure still to come.
func (f *Failing) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plans = nil
}

// Count says how many operations of a kind were asked for, those that failed included.
func (f *Failing) Count(op Op) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done[op]
}

// do counts an operation and says how it fails, if it does.
func (f *Failing) do(op Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.done[op]++
	f.done[AnyOp]++
	for _, p := range f.plans {
		if n := f.done[p.op]; (p.op == op || p.op == AnyOp) && p.first <= n && n <= p.last {
			return p.err
		}
	}
	return nil
}

// file wraps a file that was opened or created.
func (f *Failing) file(op Op, open func() (File, error)) (File, error) {
	if err := f.do(op); err != nil {
		return nil, err
	}
	file, err := open()
	if err != nil {
		return nil, err
	}
	return &failingFile{file, f}, nil
}

// Open may fail as OpOpen.
func (f *Failing) Open(name string) (File, error) {
	return f.file(OpOpen, func() (File, error) { return f.fs.Open(name) })
}

// OpenWrite may fail as OpOpen.
func (f *Failing) OpenWrite(name string) (File, error) {
	return f.file(OpOpen, func() (File, error) { return f.fs.OpenWrite(name) })
}

// Create may fail as OpCreate.
func (f *Failing) Create(name string) (File, error) {
	return f.file(OpCreate, func() (File, error) { return f.fs.Create(name) })
}

// Rename may fail as OpRename.
func (f *Failing) Rename(from, to string) error {
	if err := f.do(OpRename); err != nil {
		return err
	}
	return f.fs.Rename(from, to)
}

// Remove may fail as OpRemove.
func (f *Failing) Remove(name string) error {
	if err := f.do(OpRemove); err != nil {
		return err
	}
	return f.fs.Remove(name)
}

// List may fail as OpList.
func (f *Failing) List(dir string) ([]string, error) {
	if err := f.do(OpList); err != nil {
		return nil, err
	}
	return f.fs.List(dir)
}

// MakeDir may fail as OpMakeDir.
func (f *Failing) MakeDir(dir string) error {
	if err := f.do(OpMakeDir); err != nil {
		return err
	}
	return f.fs.MakeDir(dir)
}

// SyncDir may fail as OpSyncDir.
func (f *Failing) SyncDir(dir string) error {
	if err := f.do(OpSyncDir); err != nil {
		return err
	}
	return f.fs.SyncDir(dir)
}

// Lock may fail as OpLock.
func (f *Failing) Lock(name string) (io.Closer, error) {
	if err := f.do(OpLock); err != nil {
		return nil, err
	}
	return f.fs.Lock(name)
}

// failingFile is a file of a Failing.
type failingFile struct {
	File
	fs *Failing
}

func (f *failingFile) ReadAt(p []byte, at int64) (int, error) {
	if err := f.fs.do(OpRead); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, at)
}

func (f *failingFile) WriteAt(p []byte, at int64) (int, error) {
	err := f.fs.do(OpWrite)
	if err == nil {
		return f.File.WriteAt(p, at)
	}
	n, writeErr := f.File.WriteAt(p[:len(p)/2], at)
	if writeErr != nil {
		return n, writeErr
	}
	return n, err
}

func (f *failingFile) Zero(at, size int64) (int64, error) {
	if err := f.fs.do(OpWrite); err != nil {
		return 0, err
	}
	return f.File.Zero(at, size)
}

func (f *failingFile) Sync() error {
	if err := f.fs.do(OpSync); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *failingFile) Truncate(size int64) error {
	if err := f.fs.do(OpTruncate); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *failingFile) Allocate(size int64) error {
	if err := f.fs.do(OpAllocate); err != nil {
		return err
	}
	return f.File.Allocate(size)
}
