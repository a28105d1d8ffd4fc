package heap

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The least and the most that Expect prepares for, in bytes: less is not worth it, and more is address space for nothing.
const (
	leastExpected = 16 << 20
	mostExpected  = 512 << 20
)

// hugePages is where the kernel says who gets them.
const hugePages = "/sys/kernel/mm/transparent_hugepage/enabled"

// Expect prepares for a heap that is about to grow by about so many bytes and to keep them: the kernel gives it memory in
// pages of two megabytes rather than of four kilobytes, each of which would cost a fault, and on a virtual machine several
// microseconds. It takes no memory by itself. Call the function that it returns once the heap has grown: what the collector
// gives back afterwards would otherwise come back, for the kernel likes such pages whole.
//
// It does nothing where the kernel gives such pages to all or to none without being asked, or where memory is limited
// (GOMEMLIMIT). It costs a collection, so it is for a start, when the heap is small.
func Expect(bytes int64) (grown func()) {
	enabled, err := os.ReadFile(hugePages)
	if err != nil || !strings.Contains(string(enabled), "[madvise]") || bytes < leastExpected ||
		debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return func() {}
	}
	// What was allocated once, and is garbage, is where the heap grows first. It was never written, so it is no memory yet.
	start, size := reserve(min(bytes, mostExpected))
	runtime.GC()
	return func() { advise(start, size, unix.MADV_NOHUGEPAGE) }
}

// reserve makes garbage of so many bytes where huge pages are to come.
func reserve(bytes int64) (start, size uintptr) {
	room := make([]byte, bytes)
	start, size = uintptr(unsafe.Pointer(unsafe.SliceData(room))), uintptr(len(room)) //nolint:gosec // no pointer is made of it
	advise(start, size, unix.MADV_HUGEPAGE)
	runtime.KeepAlive(room)
	return start, size
}

// advise asks the kernel; where it refuses, pages are as they always were. The address is no pointer, for nothing of ours may
// lie there any more.
func advise(start, size uintptr, advice int) {
	_, _, _ = unix.Syscall(unix.SYS_MADVISE, start, size, uintptr(advice))
}
