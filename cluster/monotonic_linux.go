package cluster

import (
	"time"

	"golang.org/x/sys/unix"
)

// monotonic reads CLOCK_BOOTTIME: unlike CLOCK_MONOTONIC it goes on while the machine is suspended, so that leases lapse
// meanwhile. It never falls, and no setting of the wall clock moves it.
func monotonic() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		panic("cluster: CLOCK_BOOTTIME: " + err.Error()) // no Linux that Go runs on is without it
	}
	return time.Duration(t.Nano())
}
