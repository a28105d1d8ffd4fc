package ingress

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// pace bounds how often a source may deliver: a bucket of tokens that fills at its rate. Only verified deliveries take
// one, so that nobody else can use up what is the sender's. A nil pace bounds nothing.
type pace struct{ bucket *rate.Limiter }

// newPace returns the pace of so many deliveries a second, nil when that is zero. A burst of zero is what one second
// brings, at least one.
func newPace(perSecond float64, burst int) *pace {
	if perSecond == 0 {
		return nil
	}
	if burst == 0 {
		burst = max(int(math.Ceil(perSecond)), 1)
	}
	return &pace{rate.NewLimiter(rate.Limit(perSecond), burst)}
}

// adopt returns the pace that holds where next takes the place of p: what p has been used still counts.
func (p *pace) adopt(next *pace, now time.Time) *pace {
	if p == nil || next == nil {
		return next
	}
	p.bucket.SetLimitAt(now, next.bucket.Limit())
	p.bucket.SetBurstAt(now, next.bucket.Burst())
	return p
}

// wait is how long there will be no token; zero when there is one. It takes nothing.
func (p *pace) wait(now time.Time) time.Duration {
	if p == nil {
		return 0
	}
	missing := 1 - p.bucket.TokensAt(now)
	if missing <= 0 {
		return 0
	}
	return time.Duration(missing / float64(p.bucket.Limit()) * float64(time.Second))
}

// take takes a token, or says how long there will be none.
func (p *pace) take(now time.Time) (wait time.Duration, ok bool) {
	if p == nil || p.bucket.AllowN(now, 1) {
		return 0, true
	}
	return p.wait(now), false
}
