package vfs

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
)

// Mem is a file system in memory that remembers what was synced, so that its power can be cut. It is safe for use by
// several goroutines. Create it with NewMem.
type Mem struct {
	mu       sync.Mutex       // guards what follows, and every node
	names    map[string]*node // as programs see them
	durable  map[string]*node // as they are on stable storage
	changes  []change         // what leads from durable to names, in order
	dirs     map[string]bool
	locks    map[string]bool
	capacity int64 // in bytes; zero means no bound
}

// node is a file, whatever its name.
type node struct {
	data   []byte // as programs see it
	synced []byte // as it is on stable storage
	writes []write
}

// write is one change of a node's content that is not synced yet: bytes at an offset or, without bytes, a new size.
type write struct {
	at    int64
	bytes []byte
	size  int64
}

// change is one change of names: from is empty for a creation, to is empty for a removal.
type change struct {
	from, to string
	node     *node
}

// NewMem returns an empty file system of a capacity in bytes, in which the size of a file counts, holes included. Zero
// means no bound.
func NewMem(capacity int64) *Mem {
	return &Mem{
		names: map[string]*node{}, durable: map[string]*node{}, dirs: map[string]bool{}, locks: map[string]bool{},
		capacity: capacity,
	}
}

// SetCapacity changes the capacity. What lies there already stays.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// Open opens a file.
func (m *Mem) Open(name string) (File, error) { return m.open(name, false) }

// OpenWrite opens a file for writing too.
func (m *Mem) OpenWrite(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, writable bool) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.names[filepath.Clean(name)]
	if n == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &memFile{fs: m, node: n, name: name, writable: writable}, nil
}

// Create makes an empty file, whose name is durable after SyncDir.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	if !m.dirs[filepath.Dir(name)] {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrNotExist}
	}
	n := &node{}
	m.change(change{to: name, node: n})
	return &memFile{fs: m, node: n, name: name, writable: true}, nil
}

// Rename changes a name, durably after SyncDir.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to = filepath.Clean(from), filepath.Clean(to)
	n := m.names[from]
	if n == nil || !m.dirs[filepath.Dir(to)] {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	m.change(change{from: from, to: to, node: n})
	return nil
}

// Remove removes a name, durably after SyncDir.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	if m.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	m.change(change{from: name})
	return nil
}

// change applies a change of names to what programs see and keeps it for SyncDir.
func (m *Mem) change(c change) {
	c.apply(m.names)
	m.changes = append(m.changes, c)
}

func (c change) apply(names map[string]*node) {
	if c.from != "" {
		delete(names, c.from)
	}
	if c.to != "" {
		names[c.to] = c.node
	}
}

// in says whether a folder is where the change happened.
func (c change) in(dir string) bool {
	return filepath.Dir(cmp.Or(c.to, c.from)) == dir
}

// List lists files and folders.
func (m *Mem) List(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = filepath.Clean(dir)
	if !m.dirs[dir] {
		return nil, &fs.PathError{Op: "list", Path: dir, Err: fs.ErrNotExist}
	}
	var found []string
	for name := range m.names {
		if filepath.Dir(name) == dir {
			found = append(found, filepath.Base(name))
		}
	}
	for name := range m.dirs {
		if filepath.Dir(name) == dir && name != dir {
			found = append(found, filepath.Base(name))
		}
	}
	slices.Sort(found)
	return found, nil
}

// MakeDir makes folders, which are durable at once.
func (m *Mem) MakeDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for dir = filepath.Clean(dir); !m.dirs[dir]; dir = filepath.Dir(dir) {
		m.dirs[dir] = true
	}
	return nil
}

// SyncDir makes the changes of names in a folder durable.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir = filepath.Clean(dir)
	m.changes = slices.DeleteFunc(m.changes, func(c change) bool {
		if c.in(dir) {
			c.apply(m.durable)
			return true
		}
		return false
	})
	return nil
}

// Kill returns the file system as the next process finds it if this one is killed now: all that was written is there, and
// what was not synced may still be lost to a power cut. The file system itself goes on as if nothing had happened; the new
// one has no locks and shares nothing with it.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	after := NewMem(m.capacity)
	maps.Copy(after.dirs, m.dirs)
	copies := map[*node]*node{} // a file may be in names, in durable, and in changes
	copied := func(n *node) *node {
		if n != nil && copies[n] == nil {
			copies[n] = &node{data: bytes.Clone(n.data), synced: bytes.Clone(n.synced), writes: slices.Clone(n.writes)}
		}
		return copies[n]
	}
	for name, n := range m.names {
		after.names[name] = copied(n)
	}
	for name, n := range m.durable {
		after.durable[name] = copied(n)
	}
	for _, c := range m.changes {
		after.changes = append(after.changes, change{from: c.from, to: c.to, node: copied(c.node)})
	}
	return after
}

// Lock locks a name until it is closed or the power is cut.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	if m.locks[name] {
		return nil, fmt.Errorf("%s: %w", name, ErrLocked)
	}
	if m.names[name] == nil {
		m.change(change{to: name, node: &node{}})
	}
	m.locks[name] = true
	return memLock{m, name}, nil
}

type memLock struct {
	fs   *Mem
	name string
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// room is ENOSPC unless all files together may grow by so many bytes.
func (m *Mem) room(name string, growth int64) error {
	if m.capacity == 0 || growth <= 0 {
		return nil
	}
	for _, n := range m.names {
		growth += int64(len(n.data))
	}
	if growth > m.capacity {
		return &fs.PathError{Op: "write", Path: name, Err: syscall.ENOSPC}
	}
	return nil
}
