//go:build linux

package load

import (
	"context"
	"errors"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/hooktroupe/hooktroupe/bench/internal/stats"
)

// due is one delivery of an open loop.
type due struct {
	number int
	at     time.Time
}

// pace hands out deliveries when they are due, and closes the channel behind the last or when ctx ends. The channel holds
// all of them, so that senders which are busy never make the pace wait: a delivery that finds no free sender is late, and
// its latency says so.
//
// The runtime's own timers may be a millisecond late when nothing else happens, as much as an answer takes. So the
// goroutine, which ends with the channel, sleeps in the kernel on a thread of its own with the least slack.
func pace(ctx context.Context, s stats.Schedule, count int) <-chan due {
	out := make(chan due, count)
	go func() {
		defer close(out)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine, its slack with it
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		for i := range count {
			at := s.Due(i)
			if !sleep(time.Until(at)) || ctx.Err() != nil {
				return
			}
			out <- due{i, at}
		}
	}()
	return out
}

// sleep blocks the thread for d; at once if that is not above 0. False means that the kernel refused.
func sleep(d time.Duration) bool {
	for left := unix.NsecToTimespec(int64(max(d, 0))); left.Nano() > 0; {
		rest := unix.Timespec{}
		err := unix.Nanosleep(&left, &rest)
		if err == nil {
			return true
		}
		if !errors.Is(err, unix.EINTR) {
			return false
		}
		left = rest
	}
	return true
}
