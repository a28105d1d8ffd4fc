// Package vfs is the few file operations that a journal needs, as something passed in: those of the operating system
// (OS), a file system in memory whose power can be cut (Mem), and one that fails on demand and counts (Failing). It
// adds no buffering, no retry and no path handling of its own.
//
// The one invariant: what Sync and SyncDir confirmed survives a power cut; of everything else any part may.
package vfs

import (
	"errors"
	"io"
)

var (
	// ErrLocked means that another process, or another opener in this one, holds the lock.
	ErrLocked = errors.New("vfs: locked")
	// ErrUnsupported means that the file system cannot do this; nothing was changed.
	ErrUnsupported = errors.New("vfs: not supported")
)

// FS is a file system. Names are paths as the operating system takes them. Errors are those of package os: a missing
// file is fs.ErrNotExist, a full disk ENOSPC.
type FS interface {
	// Open opens an existing file for reading.
	Open(name string) (File, error)
	// OpenWrite opens an existing file for reading and writing.
	OpenWrite(name string) (File, error)
	// Create makes a new, empty file for reading and writing, readable by its owner only. One that exists is emptied.
	Create(name string) (File, error)
	// Rename gives a file another name, atomically replacing what had it. It survives a power cut after SyncDir.
	Rename(from, to string) error
	// Remove removes a file's name. Those who have it open keep it.
	Remove(name string) error
	// List returns the names of what is in a folder, in order, without the folder's own.
	List(dir string) ([]string, error)
	// MakeDir makes a folder, and those above it, for its owner only. One that exists is no error.
	MakeDir(dir string) error
	// SyncDir returns once all creations, renames and removals in a folder are on stable storage.
	SyncDir(dir string) error
	// Lock creates the file if need be and locks it against every other Lock until the Closer is closed or the process
	// ends. It never waits: ErrLocked means that somebody else has it.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt may run beside anything but Close.
type File interface {
	io.ReaderAt
	// WriteAt writes all of p or returns an error, after which any part of p may have been written.
	io.WriterAt
	io.Closer
	// Zero writes size zeros and returns how many it wrote. They are made for a later write rather than a reader, so they
	// do not pass through the cache of the operating system where that can be avoided: it costs several times the work.
	Zero(at, size int64) (int64, error)
	// Sync returns once data and size are on stable storage (fdatasync). After an error the state of everything written
	// since the last success is unknown, and asking again proves nothing.
	Sync() error
	// Size is in bytes.
	Size() (int64, error)
	// Truncate sets the size; what it adds is a hole that reads as zeros.
	Truncate(size int64) error
	// Allocate reserves disk for the first size bytes and grows the file to them with zeros. ENOSPC means that there is
	// no room, ErrUnsupported that only writing can tell.
	Allocate(size int64) error
}
