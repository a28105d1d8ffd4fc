package actors_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// switchBreaker opens after three unhealthy ends in a row and stays open until the test closes it.
type switchBreaker struct {
	mu       sync.Mutex
	failures int
}

func (b *switchBreaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= 3
}

func (b *switchBreaker) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures = 0
}

// Until is a second from now while it is open.
func (b *switchBreaker) Until(now int64) int64 {
	if b.open() {
		return now + int64(time.Second)
	}
	return now
}

// Start lets everything through that Until does.
func (b *switchBreaker) Start() (func(schedule.Verdict), bool) {
	return func(v schedule.Verdict) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch v {
		case schedule.Unhealthy:
			b.failures++
		case schedule.Healthy:
			b.failures = 0
		}
	}, !b.open()
}

// destinations is a stage with a failing route, which has a breaker, a hanging one, which has a bound, and a good one.
func destinations(t *testing.T) (*stage, *switchBreaker, *sync.Map) {
	t.Helper()
	s := newStage(t, nil)
	breaker, repaired := &switchBreaker{}, &sync.Map{}
	s.config.Workers, s.config.MaxAttempts = 3, 4
	add := func(name string, limits schedule.Limits, h handler.Func) {
		s.routes = append(s.routes, actors.Route{
			Route:   schedule.Route{Name: name, Gates: []*schedule.Gate{schedule.NewGate(name, limits)}},
			Binding: handler.Binding{Name: name, Handler: h},
		})
	}
	add("failing", schedule.Limits{Concurrency: 1, Breaker: breaker}, func(context.Context, *handler.Task) ([]byte, error) {
		if _, ok := repaired.Load("failing"); ok {
			return nil, nil
		}
		return nil, errHandler
	})
	add("hanging", schedule.Limits{Concurrency: 1}, func(ctx context.Context, _ *handler.Task) ([]byte, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	})
	add("good", schedule.Limits{}, succeed)
	return s, breaker, repaired
}

func TestSlowAndFailingDestinationsDelayNobodyElse(t *testing.T) {
	s, breaker, repaired := destinations(t)
	s.raise()
	var failing []string
	for i := range 20 {
		failing = append(failing, s.bring(fmt.Sprint("f", i), "failing", ""))
		s.bring(fmt.Sprint("h", i), "hanging", "")
	}
	for i := range 20 {
		s.await(s.bring(fmt.Sprint("g", i), "good", ""), completed)
	}
	s.eventually("the breaker is open", breaker.open)
	attempts := func() (total uint32) {
		for _, id := range failing {
			total += s.get(id).GetAttempts()
		}
		return total
	}
	before := attempts()
	if before < 3 || before > 4 {
		t.Fatalf("%d attempts until the breaker opened", before)
	}
	for range 10 {
		s.clock.Advance(time.Second)
		s.get(failing[0])
	}
	if after := attempts(); after != before {
		t.Fatalf("an open breaker used up %d attempts", after-before)
	}
	repaired.Store("failing", true)
	breaker.close()
	for _, id := range failing {
		s.eventually("the tasks behind the breaker run", func() bool {
			s.clock.Advance(time.Second)
			return s.get(id).GetStatus() == completed
		})
	}
}

func TestLostHandlersUseUpNoAttempt(t *testing.T) {
	var mu sync.Mutex
	lost := 3
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if lost > 0 {
			lost--
			return nil, fmt.Errorf("the host is gone: %w", handler.ErrLost)
		}
		return nil, nil
	})
	s.config.MaxAttempts = 1
	s.raise()
	id := s.accept(s.delivery("d")).GetWebhookId()
	s.eventually("it runs until a host stays", func() bool {
		s.clock.Advance(0)
		return s.get(id).GetStatus() == completed
	})
	if got := s.get(id); got.GetAttempts() != 4 {
		t.Fatalf("%v", got)
	}
}
