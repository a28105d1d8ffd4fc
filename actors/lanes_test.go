package actors_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/actors"
	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
	"github.com/hooktroupe/hooktroupe/schedule"
)

const superseded = messages.Status_STATUS_SUPERSEDED

// workshop is a handler whose attempts end when the test says so, by the delivery's ID, or, once it is open, at once. Those
// of deliveries named stubborn take no notice of the end of their context.
type workshop struct {
	mu      sync.Mutex
	started []string
	ends    map[string]chan error
	open    chan struct{} // closed when it is open
}

func newWorkshop() *workshop {
	return &workshop{ends: make(map[string]chan error), open: make(chan struct{})}
}

// errPanic is an end on which the handler panics.
var errPanic = errors.New("panic, please")

func (w *workshop) end(id string) chan error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ends[id] == nil {
		w.ends[id] = make(chan error, 100)
	}
	return w.ends[id]
}

// Handle waits for the test's word, or for the end of its context.
func (w *workshop) Handle(ctx context.Context, t *handler.Task) ([]byte, error) {
	end, over := w.end(t.DeliveryID), ctx.Done()
	if strings.HasPrefix(t.DeliveryID, "stubborn") {
		over = nil
	}
	w.mu.Lock()
	w.started = append(w.started, t.DeliveryID)
	w.mu.Unlock()
	select {
	case err := <-end:
		if errors.Is(err, errPanic) {
			panic(err)
		}
		return []byte(t.Route + " " + t.Key), err
	case <-w.open:
		return nil, nil
	case <-over:
		return nil, context.Cause(ctx)
	}
}

func (w *workshop) begun() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.started)
}

// laneStage is a stage with one route of every policy, all worked in the workshop.
func laneStage(t *testing.T) (*stage, *workshop) {
	t.Helper()
	w := newWorkshop()
	s := newStage(t, nil)
	for p := schedule.Parallel; p <= schedule.Supersede; p++ {
		s.routes = append(s.routes, actors.Route{
			Route:   schedule.Route{Name: p.String(), Policy: p, Quiet: 10 * time.Second, MaxWait: 25 * time.Second},
			Binding: handler.Binding{Name: "workshop", Handler: w},
		})
	}
	return s, w
}

// bring sends a delivery for a route under a key.
func (s *stage) bring(id, route, key string) string {
	s.t.Helper()
	d := s.delivery(id)
	d.Assignments = []*messages.Assignment{{Route: route, Key: key}}
	return s.accept(d).GetWebhookId()
}

// awaitBegun waits until handlers were called for these, in that order.
func (s *stage) awaitBegun(w *workshop, want ...string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("%v have begun", want), func() bool { return slices.Equal(w.begun(), want) })
}

func (s *stage) lane(route, key string) *messages.Lane {
	s.t.Helper()
	reply, err := s.Lanes(context.Background(), &messages.GetLanes{Key: key, Route: route})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(reply.GetLanes()) == 0 {
		return &messages.Lane{}
	}
	return reply.GetLanes()[0]
}

func TestSerialLaneSurvivesACrashInOrder(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	var ids []string
	for i := range 5 {
		ids = append(ids, s.bring(fmt.Sprint("d", i), "serial", "repo#1"))
	}
	s.awaitBegun(w, "d0")
	s.eventually("four wait", func() bool { return s.lane("serial", "repo#1").GetWaitingTotal() == 4 })
	if l := s.lane("serial", "repo#1"); l.GetWhy() != "task "+ids[0]+" runs" ||
		l.GetWaiting()[0].GetWebhookId() != ids[1] {
		t.Fatalf("lane %v", l)
	}
	s.crash()
	s.raise()
	s.get(ids[0])
	s.clock.Advance(0)
	begun := []string{"d0"}
	for i, id := range ids {
		begun = append(begun, fmt.Sprint("d", i))
		s.awaitBegun(w, begun...)
		w.end(fmt.Sprint("d", i)) <- nil
		if got := s.await(id, completed); string(got.GetResult()) != "serial repo#1" {
			t.Fatalf("result %q", got.GetResult())
		}
	}
}

func TestRetryHoldsASerialLaneUntilItIsSkipped(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	first, second := s.bring("first", "serial", "k"), s.bring("second", "serial", "k")
	w.end("first") <- errHandler
	due := s.await(first, retrying).GetDueAt()
	lane := s.lane("serial", "k")
	if want := time.Unix(0, due).UTC().Format(time.RFC3339); !strings.Contains(lane.GetWhy(), first) ||
		!strings.Contains(lane.GetWhy(), want) {
		t.Fatalf("why: %q, want %s and %s", lane.GetWhy(), first, want)
	}
	if moved, refused, err := s.Move(context.Background(), first, false); moved == nil {
		t.Fatalf("not moved: %v, %v", refused, err)
	}
	w.end("second") <- nil
	s.await(second, completed)
	s.advanceTo(due)
	w.end("first") <- nil
	s.await(first, completed)
}

func TestCoalesceRunsTheLastOfABurstAlsoAfterACrash(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	running := s.bring("running", "coalesce", "k")
	s.awaitBegun(w, "running")
	var burst []string
	for i := range 5 {
		burst = append(burst, s.bring(fmt.Sprint("b", i), "coalesce", "k"))
	}
	for i, id := range burst[:4] {
		if got := s.await(id, superseded); got.GetError() != "superseded by "+burst[i+1] {
			t.Fatalf("error %q", got.GetError())
		}
	}
	s.crash()
	s.raise()
	// The one that ran was cut off; a newer one waits, so it does not run again.
	s.await(running, superseded)
	w.end("b4") <- nil
	s.await(burst[4], completed)
	if begun := w.begun(); !slices.Equal(begun, []string{"running", "b4"}) {
		t.Fatalf("begun: %v", begun)
	}
}

func TestDebounceKeepsItsBurstAcrossACrash(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	waits := func(id string) string {
		s.eventually(id+" waits", func() bool {
			waiting := s.lane("debounce", "k").GetWaiting()
			return len(waiting) == 1 && waiting[0].GetWebhookId() == id
		})
		return id
	}
	waits(s.bring("one", "debounce", "k"))
	s.clock.Advance(9 * time.Second)
	waits(s.bring("two", "debounce", "k"))
	s.clock.Advance(9 * time.Second)
	three := waits(s.bring("three", "debounce", "k"))
	if why := s.lane("debounce", "k").GetWhy(); !strings.Contains(why, "quiet period") {
		t.Fatalf("why: %q", why)
	}
	s.crash()
	s.raise()
	s.get(three)
	s.clock.Advance(6 * time.Second) // 24 s after the first
	if got := s.get(three); got.GetStatus() != queued {
		t.Fatalf("it is %v before the longest wait", got.GetStatus())
	}
	s.clock.Advance(time.Second)
	w.end("three") <- nil
	s.await(three, completed)
	if begun := w.begun(); !slices.Equal(begun, []string{"three"}) {
		t.Fatalf("begun: %v", begun)
	}
}

func TestSupersedeStopsTheRunningOne(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	old := s.bring("old", "supersede", "k")
	s.awaitBegun(w, "old")
	newer := s.bring("new", "supersede", "k")
	got := s.await(old, superseded)
	if log := got.GetAttemptLog(); len(log) != 1 || log[0].GetOutcome() != messages.Outcome_OUTCOME_CANCELLED {
		t.Fatalf("attempt log %v", log)
	}
	w.end("new") <- nil
	s.await(newer, completed)
}

func TestAPausedLaneStaysSoAcrossSnapshotAndCrash(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	one := s.bring("one", "serial", "k")
	w.end("one") <- nil
	s.await(one, completed)
	lanes, err := s.PauseLane(context.Background(), &messages.PauseLane{Key: "k", Paused: true})
	if err != nil || len(lanes.GetLanes()) != 1 || !lanes.GetLanes()[0].GetPaused() {
		t.Fatalf("%v, %v", lanes, err)
	}
	two := s.bring("two", "serial", "k")
	s.crash()
	s.raise()
	if l := s.lane("serial", "k"); !l.GetPaused() || l.GetWhy() != "the lane is paused" || l.GetWaitingTotal() != 1 {
		t.Fatalf("after the crash: %v", l)
	}
	if err := s.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.crash()
	s.raise()
	if got := s.get(two); got.GetStatus() != queued {
		t.Fatalf("in a paused lane it is %v", got.GetStatus())
	}
	if _, err := s.PauseLane(context.Background(), &messages.PauseLane{Key: "k", Paused: false}); err != nil {
		t.Fatal(err)
	}
	w.end("two") <- nil
	s.await(two, completed)
}

func TestMoveToTheFrontOutlivesACrash(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	running := s.bring("running", "serial", "k")
	s.await(running, processing)
	ids := map[string]string{}
	for _, name := range []string{"a", "b", "c"} {
		ids[name] = s.bring(name, "serial", "k")
	}
	if moved, refused, err := s.Move(context.Background(), ids["c"], true); moved == nil {
		t.Fatalf("not moved: %v, %v", refused, err)
	}
	if _, refused, _ := s.Move(context.Background(), running, true); refused == nil {
		t.Fatal("a running task was moved")
	}
	w.end("running") <- nil
	s.await(running, completed)
	s.awaitBegun(w, "running", "c")
	s.crash()
	s.raise()
	s.get(ids["c"])
	s.clock.Advance(0)
	for _, name := range []string{"c", "a", "b"} {
		w.end(name) <- nil
		s.await(ids[name], completed)
	}
	if begun := w.begun(); !slices.Equal(begun, []string{"running", "c", "c", "a", "b"}) {
		t.Fatalf("begun: %v", begun)
	}
}

func TestASplitDeliveryIsDoneWhenItsPartsAre(t *testing.T) {
	s, _ := laneStage(t)
	var failing = true
	var mu sync.Mutex
	ran := map[string]int{}
	part := func(name string) handler.Func {
		return func(_ context.Context, t *handler.Task) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			ran[name]++
			if name == "bad" && failing {
				return nil, handler.Discard(errHandler)
			}
			return nil, nil
		}
	}
	for _, name := range []string{"good", "bad"} {
		s.routes = append(s.routes, actors.Route{
			Route:   schedule.Route{Name: name},
			Binding: handler.Binding{Name: name, Handler: part(name)},
		})
	}
	s.raise()
	d := s.delivery("split")
	d.Assignments = []*messages.Assignment{{Route: "good", Key: "g"}, {Route: "bad", Key: "b"}}
	id := s.accept(d).GetWebhookId()
	got := s.await(id, failed)
	if len(got.GetParts()) != 2 || got.GetParts()[0].GetStatus() != completed || got.GetParts()[1].GetStatus() != failed ||
		got.GetError() != "bad: "+errHandler.Error() || got.GetAttempts() != 2 {
		t.Fatalf("after the failure of a part: %v", got)
	}
	if again := s.accept(s.delivery("whole")); again.GetDuplicate() {
		t.Fatal("another delivery is a duplicate")
	}
	check := func(when string) {
		t.Helper()
		if now := s.get(id); now.GetStatus() != failed || len(now.GetParts()) != 2 || now.GetError() != got.GetError() {
			t.Fatalf("%s: %v", when, now)
		}
		p := s.get(got.GetParts()[1].GetWebhookId())
		if p.GetParentId() != id || p.GetKey() != "b" || p.GetRoute() != "bad" || p.GetDeliveryId() != "split" {
			t.Fatalf("%s: part %v", when, p)
		}
		if list := s.list(); len(list) != 2 {
			t.Fatalf("%s: %d tasks are listed for 2 deliveries", when, len(list))
		}
	}
	s.crash()
	s.raise()
	check("after a crash")
	if err := s.Snapshot(context.Background()); err != nil {
		t.Fatal(err)
	}
	s.crash()
	s.raise()
	check("after a snapshot")
	mu.Lock()
	failing = false
	mu.Unlock()
	if redelivered := s.accept(d); !redelivered.GetRedelivered() || redelivered.GetWebhookId() != id {
		t.Fatalf("redelivery of a failed one: %v", redelivered)
	}
	s.await(id, completed)
	mu.Lock()
	defer mu.Unlock()
	if ran["good"] != 1 || ran["bad"] != 2 {
		t.Fatalf("ran %v: only what failed should have run again", ran)
	}
}

func TestCancelOfASplitDeliveryReachesEveryPart(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	d := s.delivery("split")
	d.Assignments = []*messages.Assignment{{Route: "serial", Key: "k"}, {Route: "parallel", Key: "k"}}
	id := s.accept(d).GetWebhookId()
	s.eventually("both parts run", func() bool { return len(w.begun()) == 2 })
	if done, refused, err := s.Cancel(context.Background(), id, "not needed"); done == nil {
		t.Fatalf("%v, %v", refused, err)
	}
	for _, p := range s.await(id, cancelled).GetParts() {
		if p.GetStatus() != cancelled {
			t.Fatalf("part %v", p)
		}
	}
	next := s.bring("next", "serial", "k")
	w.end("next") <- nil
	s.await(next, completed)
}

func TestDeadlineEndsWaitingAndRunningTasks(t *testing.T) {
	s, w := laneStage(t)
	s.routes = append(s.routes, actors.Route{
		Route:    schedule.Route{Name: "urgent", Policy: schedule.Serial},
		Binding:  handler.Binding{Name: "workshop", Handler: w},
		Deadline: 10 * time.Second,
	})
	s.raise()
	first, second := s.bring("first", "urgent", "k"), s.bring("second", "urgent", "k")
	s.awaitBegun(w, "first")
	s.clock.Advance(10 * time.Second)
	if got := s.await(first, failed); got.GetAttemptLog()[0].GetOutcome() != messages.Outcome_OUTCOME_TIMED_OUT {
		t.Fatalf("first: %v", got)
	}
	if got := s.await(second, failed); !strings.Contains(got.GetError(), "deadline") || got.GetAttempts() != 0 {
		t.Fatalf("second: %v", got)
	}
}

func TestADeadlineNeedsNoTurn(t *testing.T) {
	s, w := laneStage(t)
	s.routes = append(s.routes, actors.Route{
		Route:    schedule.Route{Name: "urgent", Policy: schedule.Serial},
		Binding:  handler.Binding{Name: "workshop", Handler: w, Timeout: time.Hour},
		Deadline: 10 * time.Minute,
	})
	s.raise()
	first := s.bring("first", "urgent", "k")
	w.end("first") <- handler.RetryAfter(errHandler, 9*time.Minute)
	s.await(first, retrying)
	second := s.bring("second", "urgent", "k")
	for _, paused := range []bool{true, false} {
		if _, err := s.PauseLane(context.Background(), &messages.PauseLane{Key: "k", Paused: paused}); err != nil {
			t.Fatal(err)
		}
		if paused {
			s.crash()
			s.raise()
			s.clock.Advance(5 * time.Minute)
			if got := s.get(second); got.GetStatus() != queued {
				t.Fatalf("before its deadline a task is %v", got.GetStatus())
			}
			s.clock.Advance(5*time.Minute + time.Second)
			for _, id := range []string{first, second} {
				if got := s.tick(id, failed); !strings.Contains(got.GetError(), "deadline") {
					t.Errorf("error %q", got.GetError())
				}
			}
		}
	}
	third := s.bring("third", "urgent", "k")
	w.end("third") <- nil
	s.await(third, completed)
}

func TestAParallelLaneShowsItsNextAttempt(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	var ids []string
	for i := range 3 {
		name := fmt.Sprint("d", i)
		w.end(name) <- handler.RetryAfter(errHandler, time.Duration(3-i)*time.Minute)
		ids = append(ids, s.bring(name, "parallel", "k"))
		s.await(ids[i], retrying)
	}
	lane := s.lane("parallel", "k")
	var shown []string
	for _, task := range lane.GetWaiting() {
		shown = append(shown, task.GetWebhookId())
	}
	if want := []string{ids[2], ids[1], ids[0]}; !slices.Equal(shown, want) || lane.GetWaitingTotal() != 3 {
		t.Errorf("shown %v, want %v", shown, want)
	}
	due := time.Unix(0, s.get(ids[2]).GetDueAt()).UTC().Format(time.RFC3339)
	if lane.GetWhy() != "task "+ids[2]+" waits for its next attempt at "+due {
		t.Errorf("why: %q", lane.GetWhy())
	}
}

func TestCrashesInARowQuarantineATaskWithItsStacks(t *testing.T) {
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) { panic("poison") })
	s.config.MaxAttempts = 50
	s.raise()
	id := s.accept(s.delivery("d")).GetWebhookId()
	for range 2 {
		s.awaitRetry(id)
	}
	got := s.await(id, failed)
	if got.GetError() != "quarantined after 3 crashes in a row: panic: poison" {
		t.Errorf("error %q", got.GetError())
	}
	for _, a := range got.GetAttemptLog() {
		if !strings.Contains(a.GetError(), "lanes_test.go") {
			t.Errorf("no stack in the attempt log: %q", a.GetError())
		}
	}
}

func TestATaskWhoseRouteIsGoneGoesWhereItsEventGoes(t *testing.T) {
	s, w := laneStage(t)
	s.raise()
	running, waiting := s.bring("running", "serial", "k"), s.bring("waiting", "serial", "k")
	s.awaitBegun(w, "running")
	s.crash()
	s.routes = nil
	s.raise()
	for _, id := range []string{running, waiting} {
		if got := s.await(id, failed); !strings.Contains(got.GetError(), `no route "serial" any more`) {
			t.Fatalf("error %q", got.GetError())
		}
	}
	s.bind("test", "*", "others", succeed)
	if _, refused, err := s.Retry(context.Background(), waiting); refused != nil || err != nil {
		t.Fatalf("%v, %v", refused, err)
	}
	s.await(waiting, completed)
	w.end("running")
}

func TestLongestLanes(t *testing.T) {
	s, _ := laneStage(t)
	s.raise()
	for i := range 12 {
		s.bring(fmt.Sprint(i), "serial", fmt.Sprint("key", i%3%2))
	}
	reply, err := s.Lanes(context.Background(), &messages.GetLanes{Limit: 1})
	if err != nil || reply.GetTotal() != 2 || len(reply.GetLanes()) != 1 || reply.GetLanes()[0].GetKey() != "key0" {
		t.Fatalf("%v, %v", reply, err)
	}
}
