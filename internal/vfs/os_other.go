//go:build !linux

package vfs

// Allocate is left to whoever fills the file.
func (osFile) Allocate(int64) error { return ErrUnsupported }
