//go:build linux

package procfs

import (
	"bytes"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// sectorBytes is the unit of a disk's counters, whatever its sectors are.
const sectorBytes = 512

// Device names the disk, or the part of one, below a file system. What it counts is everybody's, the file system's own
// records included. The count of a single process would not do: /proc/PID/io adds a whole folio of the page cache, up to
// some megabytes, when a block of it becomes dirty, though only the block is written.
type Device struct{ major, minor uint32 }

// DeviceOf finds the device below a folder.
func DeviceOf(folder string) (Device, error) {
	var s unix.Stat_t
	if err := unix.Stat(folder, &s); err != nil {
		return Device{}, fmt.Errorf("stat %s: %w", folder, err)
	}
	return Device{unix.Major(s.Dev), unix.Minor(s.Dev)}, nil
}

// Written is how many bytes were written to it since the machine began. A file system without a disk, such as memory or
// an overlay, has an error that is os.ErrNotExist.
func (d Device) Written() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/stat", d.major, d.minor))
	if err != nil {
		return 0, err
	}
	return ParseDevice(text)
}

// ParseDevice returns the sectors written, in bytes, from the text of a disk's stat.
func ParseDevice(text []byte) (int64, error) {
	const sectors = 7 - 1 // the kernel's document counts from 1
	fields := bytes.Fields(text)
	if len(fields) <= sectors {
		return 0, fmt.Errorf("disk: %d fields: %w", len(fields), ErrFormat)
	}
	n, err := strconv.ParseInt(string(fields[sectors]), 10, 64)
	if err != nil || n < 0 || n > (1<<62)/sectorBytes {
		return 0, fmt.Errorf("disk: sectors written are %q: %w", fields[sectors], ErrFormat)
	}
	return n * sectorBytes, nil
}
