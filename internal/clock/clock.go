// Package clock is time as something passed in: the real one, and one that tests move by hand. Everything below
// actors/ that waits, waits on a Clock.
package clock

import "time"

// Clock tells the time and calls back later.
type Clock interface {
	// Now is the wall clock with, on the real clock, its monotonic reading.
	Now() time.Time
	// AfterFunc calls f in a goroutine of its own once d has passed. d below zero means at once.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is one pending call.
type Timer interface {
	// Stop prevents the call and says whether it was in time.
	Stop() bool
}

// Real is the clock of the machine.
type Real struct{}

// Now is time.Now.
func (Real) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (Real) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
