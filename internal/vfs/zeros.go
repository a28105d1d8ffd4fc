package vfs

import (
	"io"
	"unsafe"
)

const (
	// blockBytes is the alignment, in memory and in the file, that every disk is content with.
	blockBytes = 4096
	// zeroBytes is how many zeros are written at once.
	zeroBytes = 1 << 20
)

// zeros are never written to, so they take address space and no memory.
var zeros [zeroBytes + blockBytes]byte

// writeZeros writes zeros that are aligned in memory.
func writeZeros(w io.WriterAt, at, size int64) (int64, error) {
	offset := -uintptr(unsafe.Pointer(&zeros)) % blockBytes //nolint:gosec // for the alignment only
	aligned := zeros[offset : offset+zeroBytes]
	written := int64(0)
	for written < size {
		n, err := w.WriteAt(aligned[:min(zeroBytes, size-written)], at+written)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}
