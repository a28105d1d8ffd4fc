package actors_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/journal"
	"github.com/hooktroupe/hooktroupe/messages"
)

const (
	queued     = messages.Status_STATUS_QUEUED
	processing = messages.Status_STATUS_PROCESSING
	completed  = messages.Status_STATUS_COMPLETED
	failed     = messages.Status_STATUS_FAILED
	retrying   = messages.Status_STATUS_RETRYING
	cancelled  = messages.Status_STATUS_CANCELLED
)

func succeed(context.Context, *handler.Task) ([]byte, error) { return []byte("done"), nil }

func fail(context.Context, *handler.Task) ([]byte, error) { return nil, errHandler }

func TestDeliveryBecomesCompletedTask(t *testing.T) {
	got := make(chan *handler.Task, 1)
	s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		got <- task
		return []byte("done"), nil
	}).raise()
	d := s.delivery("one")
	d.Key = "repo#1"
	id := s.accept(d).GetWebhookId()
	task := <-got
	if task.ID != id || task.Attempt != 1 || string(task.Body) != "body of one" || task.DeliveryID != "one" ||
		task.Key != "repo#1" || task.Get("Content-Type") != "text/plain" || task.EventType != "thing.done" {
		t.Errorf("the handler got %+v", task)
	}
	end := s.await(id, completed)
	if string(end.GetResult()) != "done" || end.GetAttempts() != 1 || len(end.GetAttemptLog()) != 1 ||
		end.GetKey() != "repo#1" || end.GetDeliveryId() != "one" {
		t.Errorf("the task says %v", end)
	}
}

func TestNothingIsConfirmedOrRunBeforeTheSync(t *testing.T) {
	var ran atomic.Int32
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		ran.Add(1)
		return nil, nil
	}).raise()
	release := s.journal.holdBack()
	answered := make(chan *messages.DeliveryAccepted, 2)
	send := func() {
		accepted, _, _ := s.Accept(context.Background(), s.delivery("held"))
		answered <- accepted
	}
	go send()
	s.eventually("the delivery is known", func() bool {
		counts, _ := s.Counts(context.Background())
		return counts.GetQueued() == 1
	})
	go send() // a duplicate, which has to wait for the same sync
	for range 100 {
		if _, err := s.Counts(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(answered) != 0 || ran.Load() != 0 {
		t.Fatalf("%d answers and %d attempts before the sync", len(answered), ran.Load())
	}
	release()
	first, second := <-answered, <-answered
	if first.GetWebhookId() != second.GetWebhookId() || first.GetDuplicate() == second.GetDuplicate() {
		t.Errorf("answers: %v and %v", first, second)
	}
	s.await(first.GetWebhookId(), completed)
	if ran.Load() != 1 {
		t.Errorf("%d attempts", ran.Load())
	}
}

func TestNoHandlerFailsAtOnce(t *testing.T) {
	s := newStage(t, nil).raise()
	end := s.await(s.accept(s.delivery("lost")).GetWebhookId(), failed)
	if end.GetAttempts() != 1 || !strings.Contains(end.GetError(), "no handler is registered") {
		t.Errorf("the task says %v", end)
	}
}

func TestRetriesWaitForTheirDueTimeAndEnd(t *testing.T) {
	s := newStage(t, fail)
	s.config.BackoffBase, s.config.BackoffCap, s.config.MaxAttempts = 10*time.Second, 15*time.Second, 4
	s.raise()
	id := s.accept(s.delivery("again")).GetWebhookId()
	// Half of 10 s, of 20 s capped at 15 s, of 15 s.
	for i, want := range []time.Duration{5 * time.Second, 7500 * time.Millisecond, 7500 * time.Millisecond} {
		waiting := s.await(id, retrying)
		if wait := time.Unix(0, waiting.GetDueAt()).Sub(s.clock.Now()); wait != want {
			t.Errorf("wait %d is %v, want %v", i+1, wait, want)
		}
		s.clock.Advance(want - time.Nanosecond)
		if got := s.get(id); got.GetStatus() != retrying {
			t.Fatalf("ran before it was due: %v", got)
		}
		s.clock.Advance(time.Nanosecond)
		s.eventually("the attempt ended", func() bool { return int(s.get(id).GetAttempts()) == i+2 })
	}
	end := s.await(id, failed)
	if end.GetAttempts() != 4 || end.GetError() != errHandler.Error() || len(end.GetAttemptLog()) != 4 {
		t.Errorf("the task says %v", end)
	}
}

func TestHandlersDecideByWhatTheyReturn(t *testing.T) {
	s := newStage(t, nil)
	s.bind("test", "discard", "discard", func(context.Context, *handler.Task) ([]byte, error) {
		return nil, handler.Discard(errHandler)
	})
	s.bind("test", "later", "later", func(context.Context, *handler.Task) ([]byte, error) {
		return nil, handler.RetryAfter(errHandler, time.Hour)
	})
	s.raise()
	discard := s.delivery("d")
	discard.EventType = "discard"
	if end := s.await(s.accept(discard).GetWebhookId(), failed); end.GetAttempts() != 1 {
		t.Errorf("discarded after %d attempts", end.GetAttempts())
	}
	later := s.delivery("l")
	later.EventType = "later"
	waiting := s.await(s.accept(later).GetWebhookId(), retrying)
	if wait := time.Unix(0, waiting.GetDueAt()).Sub(s.clock.Now()); wait != time.Hour {
		t.Errorf("waits %v, want an hour", wait)
	}
}

// TestPoisonTaskHarmsNobodyElse lets a task panic its handler a thousand times in a row.
func TestPoisonTaskHarmsNobodyElse(t *testing.T) {
	const panics = 1000
	s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		if task.DeliveryID == "poison" {
			panic("poison")
		}
		return nil, nil
	})
	s.config.Workers, s.config.BackoffBase, s.config.BackoffCap = 1, time.Nanosecond, time.Nanosecond
	s.config.QuarantineAfter = -1
	s.raise()
	poison := s.delivery("poison")
	poison.MaxAttempts = panics
	id := s.accept(poison).GetWebhookId()
	for n := 0; s.get(id).GetStatus() != failed; n++ {
		if n%100 == 0 {
			other := s.accept(s.delivery(fmt.Sprint("other", n)))
			s.await(other.GetWebhookId(), completed)
		}
		s.clock.Advance(time.Microsecond)
	}
	end := s.get(id)
	if end.GetAttempts() != panics || !strings.Contains(end.GetError(), "poison") {
		t.Errorf("the poison task: %d attempts, error %q", end.GetAttempts(), end.GetError())
	}
	s.await(s.accept(s.delivery("after")).GetWebhookId(), completed)
	last := s.failures()
	if len(last) != panics || !strings.Contains(last[panics-1].Stack, "life_test.go") {
		t.Errorf("%d failures were told; the last stack: %.200s", len(last), last[len(last)-1].Stack)
	}
}

func TestOddEndsOfHandlersAreFailedAttempts(t *testing.T) {
	ends := map[string]func(){
		"error":   func() { panic(errHandler) },
		"runtime": func() { var tasks []int; _ = tasks[len(tasks)] },
		"goexit":  runtime.Goexit,
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
				if task.Attempt == 1 {
					end()
				}
				return nil, nil
			})
			s.config.Workers = 1
			s.raise()
			id := s.accept(s.delivery(name)).GetWebhookId()
			s.awaitRetry(id)
			s.await(id, completed)
		})
	}
}

func TestDeadlineEndsTheContext(t *testing.T) {
	started := make(chan struct{}, 1)
	s := newStage(t, func(ctx context.Context, _ *handler.Task) ([]byte, error) {
		started <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	})
	s.config.MaxAttempts, s.config.AttemptTimeout = 1, time.Minute
	s.raise()
	id := s.accept(s.delivery("slow")).GetWebhookId()
	<-started
	s.clock.Advance(time.Minute)
	end := s.await(id, failed)
	if end.GetAttemptLog()[0].GetOutcome() != messages.Outcome_OUTCOME_TIMED_OUT ||
		!strings.Contains(end.GetError(), context.DeadlineExceeded.Error()) {
		t.Errorf("the task says %v", end)
	}
}

func TestHandlerThatIgnoresItsContextIsAbandoned(t *testing.T) {
	started, stuck := make(chan struct{}, 1), make(chan struct{})
	s := newStage(t, func(_ context.Context, task *handler.Task) ([]byte, error) {
		if task.DeliveryID == "stuck" {
			started <- struct{}{}
			<-stuck
			return []byte("too late"), nil
		}
		return nil, nil
	})
	s.config.Workers, s.config.MaxAttempts = 1, 1
	s.config.AttemptTimeout, s.config.Grace = time.Minute, 10*time.Second
	s.raise()
	id := s.accept(s.delivery("stuck")).GetWebhookId()
	<-started
	s.clock.Advance(time.Minute)
	s.eventually("the grace has begun", func() bool { s.clock.Advance(time.Second); return s.get(id).GetStatus() == failed })
	if got := s.metricOf("hooktroupe_tasks_abandoned_running"); got != 1 {
		t.Errorf("%v abandoned handlers are counted, want 1", got)
	}
	s.await(s.accept(s.delivery("next")).GetWebhookId(), completed) // the worker is free again
	close(stuck)
	s.eventually("the gauge is back", func() bool { return s.metricOf("hooktroupe_tasks_abandoned_running") == 0 })
	end := s.get(id)
	if end.GetAttemptLog()[0].GetOutcome() != messages.Outcome_OUTCOME_ABANDONED || len(end.GetResult()) != 0 {
		t.Errorf("the task says %v", end)
	}
}

// metricOf reads a metric without labels.
func (s *stage) metricOf(name string) float64 {
	s.t.Helper()
	families, err := s.metrics.Gatherer().Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

func TestSlowTaskDelaysNoOther(t *testing.T) {
	stuck := make(chan struct{})
	var once sync.Once
	s := newStage(t, func(ctx context.Context, task *handler.Task) ([]byte, error) {
		if task.DeliveryID == "slow" {
			select {
			case <-stuck:
			case <-ctx.Done():
			}
		}
		return nil, nil
	})
	s.config.Workers = 2
	s.raise()
	defer once.Do(func() { close(stuck) })
	slow := s.accept(s.delivery("slow")).GetWebhookId()
	s.await(slow, processing)
	for i := range 50 {
		s.await(s.accept(s.delivery(fmt.Sprint("fast", i))).GetWebhookId(), completed)
	}
	once.Do(func() { close(stuck) })
	s.await(slow, completed)
}

func TestBodyThatCannotBeReadIsRetried(t *testing.T) {
	s := newStage(t, succeed).raise()
	s.journal.mu.Lock()
	s.journal.readErr = journal.ErrCorrupt
	s.journal.mu.Unlock()
	large := s.delivery("unread")
	large.Body = make([]byte, 64<<10) // more than is kept in memory
	accepted := s.accept(large)
	s.eventually("the attempt failed", func() bool { return len(s.failures()) == 1 })
	s.journal.reset()
	s.awaitRetry(accepted.GetWebhookId())
	s.await(accepted.GetWebhookId(), completed)
}
