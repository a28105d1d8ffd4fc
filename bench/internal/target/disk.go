//go:build linux

package target

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Disk is the file system below a folder.
type Disk struct {
	// Kind is its name, or its number where it has none here.
	Kind string
	// Free is how many bytes may still be written.
	Free int64
	// Volatile means that it is memory, where a sync costs nothing and proves nothing.
	Volatile bool
}

// DiskOf tells where a folder lies.
func DiskOf(folder string) (Disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(folder, &s); err != nil {
		return Disk{}, fmt.Errorf("statfs %s: %w", folder, err)
	}
	d := Disk{Free: int64(s.Bavail) * s.Bsize}
	switch s.Type {
	case unix.EXT4_SUPER_MAGIC:
		d.Kind = "ext4"
	case unix.XFS_SUPER_MAGIC:
		d.Kind = "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		d.Kind = "btrfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		d.Kind = "overlay"
	case unix.TMPFS_MAGIC:
		d.Kind, d.Volatile = "tmpfs", true
	case unix.RAMFS_MAGIC:
		d.Kind, d.Volatile = "ramfs", true
	default:
		d.Kind = fmt.Sprintf("%#x", s.Type)
	}
	return d, nil
}

// ReadAll reads the files that match a pattern, one after the other from begin to end, and returns how long that took
// and how many bytes they hold.
func ReadAll(pattern string) (time.Duration, int64, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return 0, 0, err
	}
	buf := make([]byte, 1<<20)
	total := int64(0)
	began := time.Now()
	for _, name := range names {
		n, err := read(name, buf)
		total += n
		if err != nil {
			return 0, 0, err
		}
	}
	return time.Since(began), total, nil
}

func read(name string, buf []byte) (int64, error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was only read
	return io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{file}, buf)
}

// Forget asks the kernel to drop what it holds of the files that match a pattern, so that who reads them next reads the
// disk. What was not yet written back is synced first.
func Forget(pattern string) error {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := forget(name); err != nil {
			return fmt.Errorf("forget %s: %w", name, err)
		}
	}
	return nil
}

func forget(name string) error {
	file, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // nothing was written through it
	if err := unix.Fdatasync(int(file.Fd())); err != nil {
		return err
	}
	return unix.Fadvise(int(file.Fd()), 0, 0, unix.FADV_DONTNEED)
}

// Usage is how many bytes the file system has given to the files that match a pattern. Holes do not count.
func Usage(pattern string) (int64, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return 0, err
	}
	total := int64(0)
	for _, name := range names {
		var s unix.Stat_t
		switch err := unix.Stat(name, &s); {
		case errors.Is(err, unix.ENOENT):
			continue // a daemon that runs removes and renames
		case err != nil:
			return 0, fmt.Errorf("stat %s: %w", name, err)
		}
		total += s.Blocks * 512 // the unit of st_blocks, whatever the file system's blocks are
	}
	return total, nil
}
