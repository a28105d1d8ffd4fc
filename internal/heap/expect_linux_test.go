package heap_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/heap"
)

// A heap that grows as expected gets most of its memory in huge pages, and loses nothing when it has grown. It is that of a
// process of its own, for one that has grown before goes on where it has been.
func TestExpect(t *testing.T) {
	enabled, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled")
	if err != nil || !strings.Contains(string(enabled), "[madvise]") {
		t.Skipf("the kernel does not give huge pages to those who ask: %s %v", enabled, err)
	}
	const grow = "HEAP_TEST_GROW"
	if os.Getenv(grow) != "" {
		growAsExpected(t)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestExpect$")
	child.Env = append(os.Environ(), grow+"=1")
	if output, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}

func growAsExpected(t *testing.T) {
	const size, pieces = 64 << 10, 400
	grown := heap.Expect(2 * size * pieces)
	if taken := hugeBytes(t); taken > 4<<20 {
		t.Errorf("expecting took %d bytes", taken)
	}
	held := make([][]byte, pieces)
	for i := range held {
		held[i] = bytes.Repeat([]byte{byte(i)}, size)
	}
	if got := hugeBytes(t); got < size*pieces/2 {
		t.Errorf("%d bytes in huge pages, of %d", got, size*pieces)
	}
	grown()
	for i, piece := range held {
		if !bytes.Equal(piece, bytes.Repeat([]byte{byte(i)}, size)) {
			t.Fatalf("piece %d has changed", i)
		}
	}
}

// hugeBytes is how much of this process lies in huge pages.
func hugeBytes(t *testing.T) (total int) {
	t.Helper()
	rollup, err := os.ReadFile("/proc/self/smaps_rollup")
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(rollup)) {
		if kilobytes, is := strings.CutPrefix(line, "AnonHugePages:"); is {
			if _, err := fmt.Sscan(kilobytes, &total); err != nil {
				t.Fatal(err)
			}
		}
	}
	return total << 10
}
