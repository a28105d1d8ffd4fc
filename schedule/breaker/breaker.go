// Package breaker keeps attempts from a destination that fails: a schedule.Breaker on github.com/sony/gobreaker. Closed,
// it counts failures in a row; open, it lets nothing through for a while; half-open, it lets one probe through, whose
// verdict closes or opens it again. Its clock is the machine's.
package breaker

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/hooktroupe/hooktroupe/schedule"
)

// Config is what an operator may set.
type Config struct {
	// Failures in a row open the breaker: at least 1.
	Failures int
	// OpenFor is how long nothing is let through: above 0.
	OpenFor time.Duration
	// Changed is told of every change, if it is set; it must not block. The states are closed, half-open and open.
	Changed func(state string)
}

// Breaker is one destination's. It is safe for concurrent use.
type Breaker struct {
	inner   *gobreaker.TwoStepCircuitBreaker[struct{}]
	until   atomic.Int64 // when an open one lets a probe through
	probing atomic.Bool  // the probe runs
	tripped atomic.Bool  // it opens at the next failure, whatever came before
}

var (
	errUnhealthy = errors.New("unhealthy")
	errNeutral   = errors.New("neutral")
)

// New returns a closed Breaker.
func New(c Config) *Breaker {
	b := &Breaker{}
	b.inner = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     c.OpenFor,
		ReadyToTrip: func(counts gobreaker.Counts) bool {
			return counts.ConsecutiveFailures >= uint32(c.Failures) || b.tripped.Load()
		},
		IsExcluded: func(err error) bool { return errors.Is(err, errNeutral) },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			if to == gobreaker.StateOpen {
				b.until.Store(time.Now().Add(c.OpenFor).UnixNano() + 1)
			}
			if c.Changed != nil {
				c.Changed(to.String())
			}
		},
	})
	return b
}

// Trip opens a closed Breaker that takes the place of one that was not closed.
func (b *Breaker) Trip() {
	b.tripped.Store(true)
	if tell, err := b.inner.Allow(); err == nil {
		tell(errUnhealthy)
	}
	b.tripped.Store(false)
}

// Until implements schedule.Breaker.
func (b *Breaker) Until(now int64) int64 {
	switch {
	case b.probing.Load():
		return schedule.Never
	case b.inner.State() == gobreaker.StateOpen:
		return max(now+1, b.until.Load())
	default:
		return now
	}
}

// Start implements schedule.Breaker.
func (b *Breaker) Start() (done func(schedule.Verdict), ok bool) {
	probe := b.inner.State() == gobreaker.StateHalfOpen
	tell, err := b.inner.Allow()
	if err != nil {
		return nil, false
	}
	b.probing.Store(probe)
	return func(v schedule.Verdict) {
		if probe {
			b.probing.Store(false)
		}
		switch v {
		case schedule.Healthy:
			tell(nil)
		case schedule.Unhealthy:
			tell(errUnhealthy)
		default:
			tell(errNeutral)
		}
	}, true
}

// State is closed, half-open or open.
func (b *Breaker) State() string { return b.inner.State().String() }
