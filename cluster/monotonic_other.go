//go:build !linux

package cluster

import "time"

var booted = time.Now()

// monotonic is the runtime's, which may stand still while the machine is suspended: what wakes up then is refused by
// generation.
func monotonic() time.Duration { return time.Second + time.Since(booted) }
