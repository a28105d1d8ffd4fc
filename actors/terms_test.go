package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
)

// reconfigure puts other routes in place, with the stage's configuration and fallback.
func (s *stage) reconfigure(routes ...actors.Route) {
	s.t.Helper()
	if err := s.Reconfigure(s.config, routes, s.mux); err != nil {
		s.t.Fatal(err)
	}
}

// to is a route to a workshop.
func to(name string, p schedule.Policy, w *workshop) actors.Route {
	return actors.Route{
		Route:   schedule.Route{Name: name, Policy: p, Quiet: 10 * time.Second},
		Binding: handler.Binding{Name: "workshop", Handler: w},
	}
}

func TestRunningAttemptsEndWithTheirHandlerAndTheRestHasTheNewOne(t *testing.T) {
	before, after := newWorkshop(), newWorkshop()
	s := newStage(t, nil)
	s.routes = []actors.Route{to("r", schedule.Serial, before)}
	s.raise()
	first, second := s.bring("first", "r", "k"), s.bring("second", "r", "k")
	s.awaitBegun(before, "first")
	s.reconfigure(to("r", schedule.Serial, after), to("new", schedule.Serial, after))
	third := s.bring("third", "new", "k")
	s.awaitBegun(after, "third")
	if l := s.lane("r", "k"); l.GetWaitingTotal() != 1 || l.GetWhy() != "task "+first+" runs" {
		t.Errorf("the lane of the running task: %v", l)
	}
	before.end("first") <- nil
	s.await(first, completed)
	s.awaitBegun(after, "third", "second")
	after.end("second") <- nil
	after.end("third") <- nil
	s.await(second, completed)
	s.await(third, completed)
	if begun := before.begun(); !slices.Equal(begun, []string{"first"}) {
		t.Errorf("the handler before got %q", begun)
	}
}

func TestADeliveryForARouteThatIsGoneIsNotTaken(t *testing.T) {
	w := newWorkshop()
	s := newStage(t, nil)
	s.routes = []actors.Route{to("old", schedule.Serial, w)}
	s.raise()
	first := s.bring("first", "old", "k")
	s.awaitBegun(w, "first")
	s.reconfigure(to("new", schedule.Serial, w))
	late := s.delivery("late")
	late.Assignments = []*messages.Assignment{{Route: "old", Key: "k"}}
	if accepted, refused, err := s.Accept(context.Background(), late); !errors.Is(err, actors.ErrRouteGone) {
		t.Fatalf("got %v, %v, %v", accepted, refused, err)
	}
	again := s.delivery("first")
	again.Assignments = late.Assignments
	if accepted := s.accept(again); !accepted.GetDuplicate() || accepted.GetWebhookId() != first {
		t.Errorf("a duplicate of what the route took before: %v", accepted)
	}
	if counts, err := s.Counts(context.Background()); err != nil || counts.GetQueued()+counts.GetProcessing() != 1 {
		t.Errorf("counts %v, %v", counts, err)
	}
	s.bring("late", "new", "k")
}

func TestWhatWaitsForARouteThatIsGoneFallsBackOrFailsAndSaysSo(t *testing.T) {
	w, other := newWorkshop(), newWorkshop()
	s := newStage(t, nil)
	s.routes = []actors.Route{to("gone", schedule.Serial, w)}
	s.raise()
	running := s.bring("running", "gone", "k")
	waiting := s.bring("waiting", "gone", "k")
	s.awaitBegun(w, "running")
	s.eventually("the other one waits", func() bool { return s.lane("gone", "k").GetWaitingTotal() == 1 })
	s.reconfigure()
	// It is in no lane of order any more, and does not wait for the one that runs.
	got := s.await(waiting, failed)
	if want := `no handler is registered: there is no route "gone" any more, and none for source "test" and event "thing.done"`; got.GetError() != want {
		t.Errorf("error %q", got.GetError())
	}
	w.end("running") <- nil
	s.await(running, completed)
	// The route is back: the dead letter can be replayed.
	s.reconfigure(to("gone", schedule.Serial, w))
	if changed, refused, err := s.Retry(context.Background(), waiting); changed == nil {
		t.Fatalf("not retried: %v, %v", refused, err)
	}
	w.end("waiting") <- errHandler
	s.await(waiting, retrying)
	// With somebody for its event it goes there.
	s.bind("*", "*", "other", other.Handle)
	s.reconfigure()
	s.awaitRetry(waiting)
	s.awaitBegun(other, "waiting")
	other.end("waiting") <- nil
	s.await(waiting, completed)
}

func TestALaneIsMadeUpAgainWhenItsPolicyChanges(t *testing.T) {
	cases := []struct {
		before, after schedule.Policy
		begun         []string // after the first three of parallel, or the first
		superseded    string
	}{
		{schedule.Parallel, schedule.Serial, []string{"d3", "d4", "d5"}, ""},
		{schedule.Serial, schedule.Coalesce, []string{"d5"}, "d1 d2 d3 d4"},
		{schedule.Serial, schedule.Supersede, []string{"d5"}, "d0 d1 d2 d3 d4"},
		{schedule.Coalesce, schedule.Serial, []string{"d5"}, "d1 d2 d3 d4"},
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%v to %v", c.before, c.after), func(t *testing.T) {
			w := newWorkshop()
			s := newStage(t, nil)
			s.routes = []actors.Route{to("r", c.before, w)}
			s.raise()
			ids := make(map[string]string)
			for i := range 6 {
				name := fmt.Sprint("d", i)
				ids[name] = s.bring(name, "r", "k")
			}
			parallel := c.before == schedule.Parallel
			s.eventually("the first have begun", func() bool { n := len(w.begun()); return n == 3 || !parallel && n == 1 })
			s.eventually("the last one waits", func() bool {
				waiting := s.lane("r", "k").GetWaiting()
				return len(waiting) > 0 && waiting[len(waiting)-1].GetWebhookId() == ids["d5"]
			})
			first := len(w.begun())
			s.reconfigure(to("r", c.after, w))
			if l := s.lane("r", "k"); l.GetPolicy() != c.after.String() {
				t.Errorf("lane %v", l)
			}
			for i := range 6 {
				w.end(fmt.Sprint("d", i)) <- nil
			}
			var gave []string
			for i := range 6 {
				name := fmt.Sprint("d", i)
				s.eventually(name+" is final", func() bool {
					switch s.get(ids[name]).GetStatus() {
					case superseded:
						gave = append(gave, name)
						return true
					case completed:
						return true
					default:
						return false
					}
				})
			}
			if got := w.begun()[first:]; !slices.Equal(got, c.begun) {
				t.Errorf("then began %q, want %q", got, c.begun)
			}
			if got := strings.Join(gave, " "); got != c.superseded {
				t.Errorf("superseded %q, want %q", got, c.superseded)
			}
		})
	}
}

func TestLimitsAreTakenOver(t *testing.T) {
	w := newWorkshop()
	s := newStage(t, nil)
	s.config.MaxFinished, s.config.MaxAttempts = 10, 3
	s.routes = []actors.Route{to("r", schedule.Serial, w)}
	s.raise()
	var ids []string
	for i := range 4 {
		name := fmt.Sprint("d", i)
		w.end(name) <- nil
		ids = append(ids, s.bring(name, "r", "k"))
		s.await(ids[i], completed)
	}
	s.bring("busy", "r", "k")
	s.config.MaxFinished, s.config.MaxWaiting, s.config.MaxAttempts = 1, 1, 1
	s.reconfigure(to("r", schedule.Serial, w))
	for i, id := range ids {
		if known := s.get(id) != nil; known != (i == 3) {
			t.Errorf("%d is known: %t", i, known)
		}
	}
	full := s.delivery("full")
	full.Assignments = []*messages.Assignment{{Route: "r", Key: "k"}}
	s.refuse(full, messages.Refusal_REFUSAL_BACKLOG_FULL)
	s.config.MaxWaiting = 2
	s.reconfigure(to("r", schedule.Serial, w))
	w.end("busy") <- nil
	w.end("full") <- errHandler
	s.await(s.bring("full", "r", "k"), failed)
	s.config.MaxWaiting = -1
	if err := s.Reconfigure(s.config, s.routes, s.mux); err == nil {
		t.Error("a bound below zero was taken")
	}
	if err := s.Reconfigure(actors.Config{}, []actors.Route{to("r", 0, w), to("r", 0, w)}, s.mux); err == nil {
		t.Error("two routes of one name were taken")
	}
}

func TestWhatARateWasUsedIsNotForgotten(t *testing.T) {
	w := newWorkshop()
	s := newStage(t, nil)
	limited := func() actors.Route {
		r := to("r", schedule.Parallel, w)
		r.Gates = []*schedule.Gate{schedule.NewGate("handler h", schedule.Limits{Rate: 1, Burst: 1})}
		return r
	}
	s.routes = []actors.Route{limited()}
	s.raise()
	s.bring("a", "r", "k")
	s.bring("b", "r", "k")
	s.awaitBegun(w, "a")
	for range 10 {
		s.reconfigure(limited())
	}
	s.eventually("the other one waits for the rate", func() bool {
		return s.lane("r", "k").GetWhy() == "handler h: its rate is used up"
	})
	if begun := w.begun(); len(begun) != 1 {
		t.Errorf("begun: %q", begun)
	}
	s.clock.Advance(time.Second)
	s.awaitBegun(w, "a", "b")
}

func TestADeadlineThatComesWithOtherRoutesHoldsForWhatWaits(t *testing.T) {
	w := newWorkshop()
	s := newStage(t, nil)
	s.config.AttemptTimeout = time.Hour
	s.routes = []actors.Route{to("r", schedule.Serial, w)}
	s.raise()
	running, waiting := s.bring("running", "r", "k"), s.bring("waiting", "r", "k")
	s.awaitBegun(w, "running")
	hurried := to("r", schedule.Serial, w)
	hurried.Deadline = 10 * time.Second
	s.reconfigure(hurried)
	s.get(waiting) // lets the routes come first
	s.clock.Advance(11 * time.Second)
	if got := s.tick(waiting, failed); !strings.Contains(got.GetError(), "deadline") || got.GetAttempts() != 0 {
		t.Errorf("what waited: %v", got)
	}
	w.end("running") <- nil
	s.await(running, completed)
}
