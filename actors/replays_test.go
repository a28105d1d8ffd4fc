package actors_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
)

const (
	replayRunning   = messages.ReplayState_REPLAY_STATE_RUNNING
	replayCompleted = messages.ReplayState_REPLAY_STATE_COMPLETED
	replayCancelled = messages.ReplayState_REPLAY_STATE_CANCELLED
)

// deadLetters is a stage with ten dead letters, five under each of two keys; the handler is repaired by the switch.
func deadLetters(t *testing.T) (s *stage, ids []string, repaired *atomic.Bool) {
	t.Helper()
	repaired = &atomic.Bool{}
	s = newStage(t, func(context.Context, *handler.Task) ([]byte, error) {
		if repaired.Load() {
			return nil, nil
		}
		return nil, handler.Discard(errHandler)
	})
	s.raise()
	for i := range 10 {
		d := s.delivery(fmt.Sprint(i))
		d.Key = fmt.Sprint("key", i%2)
		ids = append(ids, s.accept(d).GetWebhookId())
	}
	for _, id := range ids {
		s.await(id, failed)
	}
	repaired.Store(true)
	return s, ids, repaired
}

func (s *stage) replay(id uint64) *messages.Replay {
	s.t.Helper()
	all, err := s.Replays(context.Background())
	if err != nil {
		s.t.Fatal(err)
	}
	i := slices.IndexFunc(all, func(r *messages.Replay) bool { return r.GetId() == id })
	if i < 0 {
		s.t.Fatalf("replay %d is not among %v", id, all)
	}
	return all[i]
}

func TestReplayRunsWhatItsFilterSelects(t *testing.T) {
	s, ids, _ := deadLetters(t)
	filter := &messages.Filter{Key: "key1", Text: "sink"}
	if n, err := s.CountReplayable(context.Background(), filter); err != nil || n != 5 {
		t.Fatalf("%d, %v would be replayed", n, err)
	}
	started, refused, err := s.StartReplay(context.Background(), filter, 0)
	if started.GetTotal() != 5 {
		t.Fatalf("%v, %v, %v", started, refused, err)
	}
	for i, id := range ids {
		if i%2 == 1 {
			if got := s.await(id, completed); got.GetAttempts() != 2 || len(got.GetAttemptLog()) != 2 {
				t.Fatalf("the history was not kept: %v", got)
			}
		} else if got := s.get(id); got.GetStatus() != failed {
			t.Fatalf("task %d was not selected and is %v", i, got.GetStatus())
		}
	}
	s.eventually("the replay has completed", func() bool {
		r := s.replay(started.GetId())
		return r.GetState() == replayCompleted && r.GetReplayed() == 5 && r.GetRefused() == 0
	})
	if n, _ := s.CountReplayable(context.Background(), &messages.Filter{Statuses: []messages.Status{queued}}); n != 0 {
		t.Fatalf("%d tasks that are not final would be replayed", n)
	}
}

func TestReplayKeepsToItsRateAndCanBeCancelled(t *testing.T) {
	s, ids, _ := deadLetters(t)
	started, _, err := s.StartReplay(context.Background(), nil, 1)
	if err != nil || started.GetState() != replayRunning || started.GetTotal() != 10 {
		t.Fatalf("%v, %v", started, err)
	}
	s.await(ids[0], completed)
	for range 30 {
		s.clock.Advance(100 * time.Millisecond)
		s.replay(started.GetId()) // lets the tick come first
	}
	s.await(ids[2], completed)
	s.eventually("three or four in three seconds", func() bool {
		n := s.replay(started.GetId()).GetReplayed()
		return n == 3 || n == 4
	})
	if _, refused, _ := s.CancelReplay(context.Background(), 99); !refused.GetNotFound() {
		t.Fatal("cancelled a replay that is not there")
	}
	if r, _, err := s.CancelReplay(context.Background(), started.GetId()); r.GetState() != replayCancelled || err != nil {
		t.Fatalf("%v, %v", r, err)
	}
	s.clock.Advance(time.Hour)
	if got := s.get(ids[9]); got.GetStatus() != failed {
		t.Fatalf("after the cancellation a task is %v", got.GetStatus())
	}
	if _, refused, _ := s.CancelReplay(context.Background(), started.GetId()); refused == nil || refused.GetNotFound() {
		t.Fatalf("cancelled twice: %v", refused)
	}
}
