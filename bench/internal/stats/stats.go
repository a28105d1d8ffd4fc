// Package stats is the arithmetic of measurements: percentiles, medians, the longest gap in a series of moments, and the
// schedule of an open loop. It is pure: it reads no clock and starts no goroutine.
package stats

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// Sample is latencies in ascending order, as NewSample left them.
type Sample []time.Duration

// NewSample joins the parts and sorts them. The parts stay the caller's.
func NewSample(parts ...[]time.Duration) Sample {
	joined := slices.Concat(parts...)
	slices.Sort(joined)
	return joined
}

// Percentile is the smallest latency that p percent of the sample do not exceed (nearest rank), p above 0 and up to 100.
// It is a latency that was measured, never an interpolation. An empty sample has zero.
func (s Sample) Percentile(p float64) time.Duration {
	if len(s) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(s))))
	return s[min(max(rank, 1), len(s))-1]
}

// Median is the middle one of the values, or the mean of the middle two; NaN of none. The slice stays as it is.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return sorted[middle-1]/2 + sorted[middle]/2 // halves first: the sum of two large ones may overflow
}

// Schedule says when each request of an open loop is due, whatever became of those before it. Latency that is counted
// from there holds the time that a request waited because the server was slow: no omission is coordinated with it.
type Schedule struct {
	// Start is when the first request is due.
	Start time.Time
	// Rate is requests a second, above 0.
	Rate float64
}

// Due is when request i is due, i from 0. It is computed from the start, so that errors do not add up.
func (s Schedule) Due(i int) time.Time {
	return s.Start.Add(time.Duration(float64(i) / s.Rate * float64(time.Second)))
}

// Gaps finds the longest time between two moments that follow each other. It is safe for use by several goroutines; the
// zero value has seen no moment.
type Gaps struct {
	latest  atomic.Int64 // offset of the latest moment, in nanoseconds
	longest atomic.Int64 // in nanoseconds
}

// Mark notes a moment, as its offset from the begin of the series. Goroutines that mark at the same time may come in
// either order; a moment before the latest one ends no gap.
func (g *Gaps) Mark(offset time.Duration) {
	now := int64(offset)
	for {
		latest := g.latest.Load()
		if now <= latest {
			return
		}
		if g.latest.CompareAndSwap(latest, now) {
			raise(&g.longest, now-latest)
			return
		}
	}
}

// Longest is the longest gap so far, the one between the begin of the series and the first moment included.
func (g *Gaps) Longest() time.Duration { return time.Duration(g.longest.Load()) }

// raise makes a value at least as large as n.
func raise(v *atomic.Int64, n int64) {
	for old := v.Load(); n > old && !v.CompareAndSwap(old, n); old = v.Load() {
	}
}
