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
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	record := make([]byte, recordBytes)
	for i := range record {
		record[i] = byte(i) // a disk may be clever about zeros
	}
	var committed atomic.Int64
	var working sync.WaitGroup
	begin := time.Now()
	for range submitters { // each ends with the time, with ctx, or with the log
		working.Go(func() {
			for n := int64(0); ; n++ {
				if time.Since(begin) >= d || ctx.Err() != nil {
					committed.Add(n)
					return
				}
				if err := l.Commit(record); err != nil {
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
	return float64(committed.Load()) / time.Since(begin).Seconds(), nil
}
