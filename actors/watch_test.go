package actors_test

import (
	"context"
	"reflect"
	"sync"
	"testing"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
	"github.com/hooktroupe/hooktroupe/task"
)

// watcher remembers what it was told.
type watcher struct {
	mu      sync.Mutex
	changes []actors.Change
}

func (w *watcher) watch(c actors.Change) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changes = append(w.changes, c)
}

// statuses are those that a task went through.
func (w *watcher) statuses(id string) []task.Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	var seen []task.Status
	for _, c := range w.changes {
		if t, ok := c.(*actors.TaskChanged); ok && t.ID.String() == id {
			seen = append(seen, t.Status)
		}
	}
	return seen
}

func (w *watcher) others() []actors.Change {
	w.mu.Lock()
	defer w.mu.Unlock()
	var seen []actors.Change
	for _, c := range w.changes {
		if _, ok := c.(*actors.TaskChanged); !ok {
			seen = append(seen, c)
		}
	}
	return seen
}

func TestWatchTellsEveryStateInOrder(t *testing.T) {
	w := &watcher{}
	s := newStage(t, func(_ context.Context, t *handler.Task) ([]byte, error) {
		if t.Attempt == 1 {
			return nil, errHandler
		}
		return nil, nil
	})
	s.watch = w.watch
	s.raise()
	id := s.accept(s.delivery("one")).GetWebhookId()
	s.await(id, retrying)
	s.awaitRetry(id)
	s.await(id, completed)
	want := []task.Status{task.Queued, task.Processing, task.Retrying, task.Processing, task.Completed}
	if got := w.statuses(id); !reflect.DeepEqual(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	first, _ := w.changes[0].(*actors.TaskChanged)
	if first.Source != "test" || first.EventType != "thing.done" || first.At != epoch.UnixNano() {
		t.Errorf("told %+v", first)
	}
}

func TestWatchTellsOfPartsAndTheirDelivery(t *testing.T) {
	w := &watcher{}
	s := newStage(t, nil)
	s.watch = w.watch
	idle := handler.Func(func(context.Context, *handler.Task) ([]byte, error) { return nil, nil })
	for _, name := range []string{"a", "b"} {
		s.routes = append(s.routes, actors.Route{
			Route: schedule.Route{Name: name}, Binding: handler.Binding{Name: name, Handler: idle},
		})
	}
	s.raise()
	d := s.delivery("split")
	d.Assignments = []*messages.Assignment{{Route: "a"}, {Route: "b"}}
	whole := s.accept(d).GetWebhookId()
	for _, p := range s.await(whole, completed).GetParts() {
		got := w.statuses(p.GetWebhookId())
		if len(got) == 0 || got[len(got)-1] != task.Completed {
			t.Errorf("part %s: told %v", p.GetRoute(), got)
		}
	}
	got := w.statuses(whole)
	if len(got) < 3 || got[0] != task.Queued || got[len(got)-1] != task.Completed {
		t.Errorf("the delivery: told %v", got)
	}
}

func TestWatchTellsOfLanesAndReplays(t *testing.T) {
	w := &watcher{}
	s, shop := laneStage(t)
	s.watch = w.watch
	s.config.MaxAttempts = 1
	s.raise()
	shop.end("x") <- errHandler
	d := s.delivery("x")
	d.Assignments = []*messages.Assignment{{Route: "serial", Key: "k"}}
	id := s.accept(d).GetWebhookId()
	s.await(id, failed)
	for _, paused := range []bool{true, true, false} { // the second changes nothing
		if _, err := s.PauseLane(t.Context(), &messages.PauseLane{Key: "k", Paused: paused}); err != nil {
			t.Fatal(err)
		}
	}
	shop.end("x") <- nil
	if _, refused, err := s.StartReplay(t.Context(), &messages.Filter{}, 0); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	s.await(id, completed)
	s.eventually("the replay has ended", func() bool { return len(w.others()) == 4 })
	var told []any
	for _, c := range w.others() {
		switch c := c.(type) {
		case *actors.LanePaused:
			told = append(told, c.Key+" of "+c.Route, c.Paused)
		case *actors.ReplayTurned:
			told = append(told, c.Replay.GetState(), c.Replay.GetReplayed())
		}
	}
	want := []any{
		"k of serial", true, "k of serial", false,
		messages.ReplayState_REPLAY_STATE_RUNNING, uint64(0), messages.ReplayState_REPLAY_STATE_COMPLETED, uint64(1),
	}
	if !reflect.DeepEqual(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
}
