//go:build linux

package ceiling

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Submit has so many goroutines commit records of so many bytes, each the next as soon as its last is durable, for that
// long or until ctx ends. It returns how many records were committed per second.
func Submit(ctx context.Context, l *Log, submitters, recordBytes int, d time.Duration) (float64, error) {
	record := make([]byte, recordBytes)
	for i := range record {
		record[i] = byte(i) // a disk may be clever about zeros
	}
	return repeat(ctx, submitters, d, func(context.Context) error { return l.Commit(record) })
}

// repeat has so many goroutines do something again and again, for that long or until ctx ends, or it fails. It returns how
// often a second it was done.
func repeat(ctx context.Context, goroutines int, d time.Duration, do func(context.Context) error) (float64, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var done atomic.Int64
	var working sync.WaitGroup
	begin := time.Now()
	for range goroutines { // each ends with the time, with ctx, or with an error of do
		working.Go(func() {
			for n := int64(0); ; n++ {
				if time.Since(begin) >= d || ctx.Err() != nil {
					done.Add(n)
					return
				}
				if err := do(ctx); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	working.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}
	return float64(done.Load()) / time.Since(begin).Seconds(), nil
}
