package heap_test

import (
	"context"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/hooktroupe/hooktroupe/internal/heap"
)

// A small heap has room, a large one grows by a third, and between the two the room is of a fixed size.
func TestPercent(t *testing.T) {
	const mb = 1 << 20
	for live, want := range map[uint64]int{
		0: 800, 1: 800, 8 * mb: 800, 16 * mb: 400, 64 * mb: 100, 128 * mb: 50, 400 * mb: 35, math.MaxUint64: 35,
	} {
		if got := heap.Percent(live); got != want {
			t.Errorf("Percent(%d) = %d, want %d", live, got, want)
		}
	}
}

// After a collection the collector keeps the pace that the heap asks for; and the environment's word is not overruled.
func TestPace(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		heap.Pace(ctx)
	}()
	held := make([]byte, 64<<20)
	for percent := 0; percent < 80 || percent > 130; { // of 64 MB and a little more
		runtime.GC()
		percent = debug.SetGCPercent(100)
		debug.SetGCPercent(percent)
	}
	runtime.KeepAlive(held)
	stop()
	<-ended

	t.Setenv("GOGC", os.Getenv("GOGC")) // set, whatever it says
	heap.Pace(context.Background())     // returns
}
