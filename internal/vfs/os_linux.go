package vfs

import (
	"errors"
	"os"
	"syscall"
)

// Sync is fdatasync: it leaves out times, so that a write into allocated, written blocks costs no metadata.
func (f osFile) Sync() error {
	return f.control("fdatasync", func(fd int) error { return syscall.Fdatasync(fd) })
}

// Allocate is fallocate.
func (f osFile) Allocate(size int64) error {
	err := f.control("fallocate", func(fd int) error { return syscall.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.ENOSYS) {
		return ErrUnsupported
	}
	return err
}

// control calls a system call with the descriptor, again when a signal interrupted it.
func (f osFile) control(op string, call func(fd int) error) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(fd uintptr) {
		for {
			if failed = call(int(fd)); !errors.Is(failed, syscall.EINTR) {
				return
			}
		}
	})
	if err == nil && failed != nil {
		err = &os.PathError{Op: op, Path: f.Name(), Err: failed}
	}
	return err
}
