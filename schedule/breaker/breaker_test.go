package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/schedule/breaker"
)

func attempt(t *testing.T, b *breaker.Breaker, v schedule.Verdict) {
	t.Helper()
	if until := b.Until(time.Now().UnixNano()); until > time.Now().UnixNano() {
		t.Fatalf("closed to an attempt for %v", time.Duration(until-time.Now().UnixNano()))
	}
	done, ok := b.Start()
	if !ok {
		t.Fatal("refused an attempt that Until allowed")
	}
	done(v)
}

func TestOpensProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var states []string
		b := breaker.New(breaker.Config{
			Failures: 3, OpenFor: time.Minute, Changed: func(s string) { states = append(states, s) },
		})
		now := func() int64 { return time.Now().UnixNano() }
		attempt(t, b, schedule.Unhealthy)
		attempt(t, b, schedule.Unhealthy)
		attempt(t, b, schedule.Healthy) // failures in a row count
		attempt(t, b, schedule.Unhealthy)
		attempt(t, b, schedule.Unhealthy)
		attempt(t, b, schedule.Neutral)
		attempt(t, b, schedule.Unhealthy)
		if until := b.Until(now()); until < now()+int64(time.Minute) || until > now()+int64(time.Minute)+1 {
			t.Fatalf("open for %v", time.Duration(until-now()))
		}
		if _, ok := b.Start(); ok {
			t.Fatal("an open breaker let one through")
		}
		time.Sleep(time.Minute + time.Nanosecond)
		for _, verdict := range []schedule.Verdict{schedule.Neutral, schedule.Unhealthy} {
			probe, ok := b.Start()
			if !ok || b.Until(now()) != schedule.Never {
				t.Fatalf("probe: %t, then until %d", ok, b.Until(now()))
			}
			if _, second := b.Start(); second {
				t.Fatal("two probes at a time")
			}
			probe(verdict)
		}
		if b.State() != "open" {
			t.Fatalf("%s after a failed probe", b.State())
		}
		time.Sleep(time.Minute + time.Nanosecond)
		attempt(t, b, schedule.Healthy)
		attempt(t, b, schedule.Healthy)
		if want := []string{"open", "half-open", "open", "half-open", "closed"}; len(states) != len(want) {
			t.Fatalf("changes %v, want %v", states, want)
		}
	})
}

func TestTripOpensOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := breaker.New(breaker.Config{Failures: 5, OpenFor: time.Minute})
		b.Trip()
		if _, ok := b.Start(); ok || b.State() != "open" {
			t.Fatalf("%s after a trip", b.State())
		}
		time.Sleep(time.Minute + time.Nanosecond)
		attempt(t, b, schedule.Healthy)
		attempt(t, b, schedule.Unhealthy) // it has its own count again
		if b.State() != "closed" {
			t.Errorf("%s after one failure of five", b.State())
		}
	})
}
