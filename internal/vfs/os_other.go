//go:build !linux

package vfs

// Zero writes zeros.
func (f osFile) Zero(at, size int64) (int64, error) { return writeZeros(f, at, size) }

// Allocate is left to whoever fills the file.
func (osFile) Allocate(int64) error { return ErrUnsupported }
