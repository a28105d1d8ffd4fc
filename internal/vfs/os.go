package vfs

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// OS is the file system of the operating system.
type OS struct{}

// osFile adds to os.File what differs between operating systems.
type osFile struct{ *os.File }

// Open opens read-only.
func (OS) Open(name string) (File, error) { return openFile(name, os.O_RDONLY) }

// OpenWrite opens for reading and writing.
func (OS) OpenWrite(name string) (File, error) { return openFile(name, os.O_RDWR) }

// Create makes the file with mode 0600.
func (OS) Create(name string) (File, error) {
	return openFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}

func openFile(name string, flag int) (File, error) {
	f, err := os.OpenFile(name, flag, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename is os.Rename.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove is os.Remove.
func (OS) Remove(name string) error { return os.Remove(name) }

// List reads the folder.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// MakeDir makes folders with mode 0700.
func (OS) MakeDir(dir string) error { return os.MkdirAll(dir, 0o700) }

// SyncDir opens the folder and syncs it.
func (OS) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Lock is flock: released by the kernel when the process ends, however it ends.
func (OS) Lock(name string) (io.Closer, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := lockFile(f); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), f.Close())
	}
	return f, nil
}

// Size asks the operating system.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
