package schedule

import (
	"time"

	"golang.org/x/time/rate"
)

// Verdict is what a Run's end says about the health of its destination.
type Verdict uint8

// The verdicts.
const (
	Neutral   Verdict = iota // nothing: the work was cancelled or interrupted
	Healthy                  // it answered, be it with a refusal
	Unhealthy                // it failed or did not answer in time
)

// Breaker keeps work from a destination that fails. Its clock is its own.
type Breaker interface {
	// Until is when one more may start: now or earlier if at once, Never if that depends on one that runs.
	Until(now int64) int64
	// Start asks for one; done is called once when it has ended.
	Start() (done func(Verdict), ok bool)
}

// Limits are what a Gate enforces. The zero value enforces nothing.
type Limits struct {
	// Concurrency bounds the Runs at one time; zero for no bound.
	Concurrency int
	// Rate bounds the starts per second, with bursts of Burst (at least 1); zero for no bound.
	Rate  float64
	Burst int
	// Breaker may be nil.
	Breaker Breaker
}

// Gate limits the tasks of a route, or of all routes to one destination.
type Gate struct {
	name    string
	limits  Limits
	limiter *rate.Limiter // nil for no bound
	running int
}

// NewGate returns a Gate. Its name is for people, and tells which Gate it stands for when routes are replaced.
func NewGate(name string, l Limits) *Gate {
	g := &Gate{name: name, limits: l}
	if l.Rate > 0 {
		g.limiter = rate.NewLimiter(rate.Limit(l.Rate), max(l.Burst, 1))
	}
	return g
}

// adopt puts other limits in the place of the Gate's. What runs still counts, and so does what its rate has been used.
func (g *Gate) adopt(l Limits, now int64) {
	switch at := time.Unix(0, now); {
	case l.Rate <= 0:
		g.limiter = nil
	case g.limiter == nil:
		g.limiter = NewGate(g.name, l).limiter
	default:
		g.limiter.SetLimitAt(at, rate.Limit(l.Rate))
		g.limiter.SetBurstAt(at, max(l.Burst, 1))
	}
	g.limits = l
}

func (g *Gate) blockedUntil(now int64) int64 {
	if g.full() {
		return Never
	}
	until := g.throttledUntil(now)
	if g.limits.Breaker != nil {
		until = max(until, g.limits.Breaker.Until(now))
	}
	return until
}

func (g *Gate) full() bool { return g.limits.Concurrency > 0 && g.running >= g.limits.Concurrency }

// throttledUntil is when the rate allows one more.
func (g *Gate) throttledUntil(now int64) int64 {
	if g.limiter == nil {
		return now
	}
	missing := 1 - g.limiter.TokensAt(time.Unix(0, now))
	if missing <= 0 {
		return now
	}
	return now + max(1, int64(missing/g.limits.Rate*float64(time.Second)))
}

func (g *Gate) why(now int64) string {
	switch {
	case g.full():
		return "as many run as may"
	case g.throttledUntil(now) > now:
		return "its rate is used up"
	case g.limits.Breaker != nil && g.limits.Breaker.Until(now) > now:
		return "its breaker is open"
	default:
		return ""
	}
}

// start takes a place, a token and the breaker's leave.
func (g *Gate) start(now int64) (done func(Verdict), ok bool) {
	if g.full() || g.throttledUntil(now) > now {
		return nil, false
	}
	tell := func(Verdict) {}
	if g.limits.Breaker != nil {
		if tell, ok = g.limits.Breaker.Start(); !ok {
			return nil, false
		}
	}
	if g.limiter != nil {
		g.limiter.AllowN(time.Unix(0, now), 1)
	}
	g.running++
	return func(v Verdict) {
		g.running--
		tell(v)
	}, true
}
