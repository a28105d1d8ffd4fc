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

// Zero writes past the page cache (O_DIRECT) where file system and alignment allow it. The flag is one of the open file, so
// nobody else may write at the same time.
func (f osFile) Zero(at, size int64) (int64, error) {
	if at%blockBytes != 0 || size%blockBytes != 0 || f.direct(true) != nil {
		return writeZeros(f, at, size)
	}
	n, err := writeZeros(f, at, size)
	if errors.Is(err, syscall.EINVAL) { // it wants another alignment
		if err = f.direct(false); err == nil {
			var rest int64
			rest, err = writeZeros(f, at+n, size-n)
			n += rest
		}
		return n, err
	}
	return n, errors.Join(err, f.direct(false))
}

// direct sets or clears O_DIRECT.
func (f osFile) direct(on bool) error {
	return f.control("fcntl", func(fd int) error {
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_GETFL, 0)
		if errno != 0 {
			return errno
		}
		flags &^= syscall.O_DIRECT
		if on {
			flags |= syscall.O_DIRECT
		}
		if _, _, errno = syscall.Syscall(syscall.SYS_FCNTL, uintptr(fd), syscall.F_SETFL, flags); errno != 0 {
			return errno
		}
		return nil
	})
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
