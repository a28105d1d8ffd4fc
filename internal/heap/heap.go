// Package heap paces the garbage collector of a process whose heap is mostly small and at times large.
//
// The runtime's own pace lets the heap double between two collections, whatever its size. A daemon that is busy but has
// little to remember then collects dozens of times a second, and one with a long backlog takes twice the memory that the
// backlog needs. Room of a fixed size serves both: it costs little memory, and little time.
package heap

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

const (
	// room is by how many bytes the heap may grow between two collections, within the bounds of the pace.
	room = 64 << 20
	// The bounds of the pace, in percent of what lives.
	minPercent, maxPercent = 35, 800
)

// Percent is the pace for a heap in which so many bytes live: what may be allocated until the next collection, in percent
// of it.
func Percent(live uint64) int {
	return int(min(max(100*room/max(live, 1), minPercent), maxPercent))
}

// Pace adapts the collector's pace after each collection until ctx ends. Where the environment sets it (GOGC), that holds.
func Pace(ctx context.Context) {
	if _, set := os.LookupEnv("GOGC"); set {
		return
	}
	collected := make(chan struct{}, 1)
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for present := 0; ; {
		metrics.Read(sample)
		// A change stops the world for an instant; small ones are not worth it.
		if wanted := Percent(sample[0].Value.Uint64()); wanted*5 < present*4 || wanted*4 > present*5 {
			debug.SetGCPercent(wanted)
			present = wanted
		}
		tellCollection(collected)
		select {
		case <-ctx.Done():
			return
		case <-collected:
		}
	}
}

// tellCollection sends to collected after the next collection.
func tellCollection(collected chan<- struct{}) {
	// What has a finalizer and is garbage is finalized after the next collection, which is all that it is for. It holds a
	// pointer, because small objects without any share one allocation.
	canary := &struct{ self any }{}
	runtime.SetFinalizer(canary, func(any) {
		select {
		case collected <- struct{}{}:
		default:
		}
	})
}
