package schedule_test

import (
	"slices"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/schedule"
)

const second = int64(time.Second)

func lane(id uint32, route string) schedule.Lane {
	return schedule.Lane{ID: id, Route: route, Ordered: true}
}

func newScheduler(routes ...schedule.Route) *schedule.Scheduler {
	return schedule.New(routes, schedule.Route{Name: "unknown"})
}

// next takes what runs next and fails the test unless it is want.
func next(t *testing.T, s *schedule.Scheduler, now int64, want uint32) *schedule.Run {
	t.Helper()
	h, run, ok := s.Next(now)
	if !ok || h != want {
		t.Fatalf("next is %d, %t; want %d", h, ok, want)
	}
	return run
}

func idle(t *testing.T, s *schedule.Scheduler, now int64) {
	t.Helper()
	if h, _, ok := s.Next(now); ok {
		t.Fatalf("%d runs, though nothing may", h)
	}
}

func TestSerialRunsOneAtATimeAndIsHeldThroughRetries(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r", Policy: schedule.Serial})
	l := lane(1, "r")
	for h := uint32(10); h < 13; h++ {
		s.Add(h, l, schedule.Arrival{At: 1})
	}
	run := next(t, s, 1, 10)
	idle(t, s, 1)
	if _, ok := s.Retry(10, l, 5*second); !ok {
		t.Fatal("the retry was replaced")
	}
	s.Ended(run, schedule.Healthy)
	idle(t, s, 1)
	if at := s.NextWake(1); at != 5*second {
		t.Fatalf("next wake at %d", at)
	}
	s.Wake(5 * second)
	s.Ended(next(t, s, 5*second, 10), schedule.Healthy)
	s.Ended(next(t, s, 5*second, 11), schedule.Healthy)
	s.Ended(next(t, s, 5*second, 12), schedule.Healthy)
	idle(t, s, 5*second)
}

func TestParallelRetryHoldsNobody(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r"})
	l := lane(1, "r")
	s.Add(1, l, schedule.Arrival{At: 1})
	s.Add(2, l, schedule.Arrival{At: 1})
	first, second1 := next(t, s, 1, 1), next(t, s, 1, 2)
	s.Retry(1, l, 3*second)
	s.Ended(first, schedule.Healthy)
	s.Ended(second1, schedule.Healthy)
	idle(t, s, 1)
	s.Wake(3 * second)
	next(t, s, 3*second, 1)
}

func TestCoalesceKeepsTheRunningOneAndTheNewest(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r", Policy: schedule.Coalesce})
	l := lane(1, "r")
	s.Add(1, l, schedule.Arrival{At: 1})
	run := next(t, s, 1, 1)
	s.Add(2, l, schedule.Arrival{At: 2})
	if e := s.Add(3, l, schedule.Arrival{At: 3}); !slices.Equal(e.Superseded, []uint32{2}) || e.Preempt {
		t.Fatalf("effect %+v", e)
	}
	if by, ok := s.Retry(1, l, 9*second); ok || by != 3 {
		t.Fatalf("the retry of an old one: by %d, %t", by, ok)
	}
	s.Ended(run, schedule.Healthy)
	s.Ended(next(t, s, 4, 3), schedule.Healthy)
	idle(t, s, 4)
}

func TestDebounceWaitsForQuietButNotForEver(t *testing.T) {
	s := newScheduler(schedule.Route{
		Name: "r", Policy: schedule.Debounce, Quiet: 10 * time.Second, MaxWait: 25 * time.Second,
	})
	l := lane(1, "r")
	for i, at := range []int64{0, 8, 16, 24} {
		e := s.Add(uint32(i), l, schedule.Arrival{At: (at + 100) * second})
		if e.Burst != 100*second || len(e.Superseded) != min(i, 1) {
			t.Fatalf("arrival %d: %+v", i, e)
		}
	}
	s.Wake(124 * second)
	idle(t, s, 124*second)
	if at := s.NextWake(124 * second); at != 125*second {
		t.Fatalf("due at %d s", at/second)
	}
	s.Wake(125 * second)
	run := next(t, s, 125*second, 3)
	if e := s.Add(9, l, schedule.Arrival{At: 126 * second}); e.Burst != 126*second {
		t.Fatalf("the next burst began at %d s", e.Burst/second)
	}
	s.Wake(136 * second)
	idle(t, s, 136*second)
	s.Ended(run, schedule.Healthy)
	next(t, s, 136*second, 9)
}

func TestABurstEndsWithItsLastTask(t *testing.T) {
	s := newScheduler(schedule.Route{
		Name: "r", Policy: schedule.Debounce, Quiet: 10 * time.Second, MaxWait: 25 * time.Second,
	})
	l := lane(1, "r")
	burst := func(h uint32, at int64) int64 { return s.Add(h, l, schedule.Arrival{At: at * second}).Burst / second }
	burst(0, 100)
	s.Wake(110 * second)
	run := next(t, s, 110*second, 0) // keeps the lane while others come and go
	if at := burst(1, 120); at != 120 {
		t.Fatalf("the burst began at %d s", at)
	}
	s.Remove(1)
	if at := burst(2, 140); at != 140 {
		t.Errorf("after a cancellation of the only one of a burst, the next one began at %d s", at)
	}
	s.Ended(run, schedule.Healthy)
	s.Add(3, l, schedule.Arrival{At: 141 * second, Again: true})
	s.Move(3, true, 0)
	s.Ended(next(t, s, 141*second, 3), schedule.Healthy)
	if at := burst(4, 145); at != 140 {
		t.Errorf("one that ran again ended the burst of others: it begins at %d s", at)
	}
}

func TestTimedAreTheFirstThatAreDue(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r"})
	for h := range uint32(1000) {
		s.Add(h, lane(h%2, "r"), schedule.Arrival{At: 1, Due: second * int64(1+(h*7919)%1000)})
	}
	s.Remove(0)
	want := make([]schedule.Waiting, 0, 5)
	for due := int64(1); len(want) < 5; due++ {
		for h := uint32(2); h < 1000; h += 2 {
			if int64(1+(h*7919)%1000) == due {
				want = append(want, schedule.Waiting{Handle: h, Timed: true})
			}
		}
	}
	if got := s.Timed(lane(0, "r"), 5); !slices.Equal(got, want) {
		t.Errorf("the first five are %v, want %v", got, want)
	}
	if got := s.Timed(lane(0, "r"), 1000); len(got) != 499 {
		t.Errorf("%d wait for a time, want 499", len(got))
	}
	if got := s.Timed(lane(7, "r"), 5); len(got) != 0 {
		t.Errorf("in a lane that is not there %v wait", got)
	}
}

func TestSupersedePreemptsAndWaitsForTheEnd(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r", Policy: schedule.Supersede})
	l := lane(1, "r")
	s.Add(1, l, schedule.Arrival{At: 1})
	run := next(t, s, 1, 1)
	if e := s.Add(2, l, schedule.Arrival{At: 2}); !e.Preempt || len(e.Superseded) != 0 {
		t.Fatalf("effect %+v", e)
	}
	if e := s.Add(3, l, schedule.Arrival{At: 3}); !e.Preempt || !slices.Equal(e.Superseded, []uint32{2}) {
		t.Fatalf("effect %+v", e)
	}
	idle(t, s, 3)
	s.Ended(run, schedule.Neutral)
	next(t, s, 3, 3)
}

func TestOneThatRunsAgainTakesNobodysPlace(t *testing.T) {
	for _, policy := range []schedule.Policy{schedule.Coalesce, schedule.Debounce, schedule.Supersede} {
		s := newScheduler(schedule.Route{Name: "r", Policy: policy})
		l := lane(1, "r")
		s.Add(2, l, schedule.Arrival{At: 1})
		if e := s.Add(1, l, schedule.Arrival{At: 2, Again: true}); len(e.Superseded) != 0 || e.Preempt {
			t.Fatalf("%v: %+v", policy, e)
		}
		s.Wake(3)
		s.Ended(next(t, s, 3, 2), schedule.Healthy)
		s.Ended(next(t, s, 3, 1), schedule.Healthy)
	}
}

func TestABusyKeyAndABusyRouteStarveNobody(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "a"}, schedule.Route{Name: "b"})
	h := uint32(0)
	for range 1000 {
		s.Add(h, lane(1, "a"), schedule.Arrival{})
		h++
	}
	s.Add(5000, lane(2, "a"), schedule.Arrival{})
	s.Add(6000, lane(3, "b"), schedule.Arrival{})
	var ran []uint32
	for range 4 {
		h, _, _ := s.Next(1)
		ran = append(ran, h)
	}
	if !slices.Contains(ran, 5000) || !slices.Contains(ran, 6000) {
		t.Fatalf("the first four to run: %v", ran)
	}
}

func TestGates(t *testing.T) {
	shared := schedule.NewGate("handler", schedule.Limits{Concurrency: 2})
	slow := schedule.NewGate("slow", schedule.Limits{Rate: 2, Burst: 1})
	s := newScheduler(schedule.Route{Name: "a", Gates: []*schedule.Gate{shared}},
		schedule.Route{Name: "b", Gates: []*schedule.Gate{shared, slow}}, schedule.Route{Name: "c"})
	for h := range uint32(3) {
		s.Add(h, schedule.Lane{ID: 1, Route: "a"}, schedule.Arrival{})
	}
	one, two := next(t, s, second, 0), next(t, s, second, 1)
	idle(t, s, second)
	if state := s.Lane(schedule.Lane{ID: 1, Route: "a"}, second, 10); state.Blocked != "handler: as many run as may" ||
		state.Total != 1 || state.Running != 2 {
		t.Fatalf("state %+v", state)
	}
	s.Add(30, schedule.Lane{ID: 3, Route: "c"}, schedule.Arrival{})
	next(t, s, second, 30)
	s.Ended(one, schedule.Healthy)
	next(t, s, second, 2)
	s.Ended(two, schedule.Healthy)
	s.Add(20, schedule.Lane{ID: 2, Route: "b"}, schedule.Arrival{})
	s.Add(21, schedule.Lane{ID: 2, Route: "b"}, schedule.Arrival{})
	s.Ended(next(t, s, second, 20), schedule.Healthy)
	idle(t, s, second)
	at := s.NextWake(second)
	if at < second+int64(490*time.Millisecond) || at > second+int64(510*time.Millisecond) {
		t.Fatalf("the rate allows the next at %v", time.Duration(at))
	}
	next(t, s, at, 21)
}

func TestPauseMoveAndRemove(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r", Policy: schedule.Serial})
	l := lane(1, "r")
	s.Pause(l, true)
	for h := uint32(1); h <= 4; h++ {
		s.Add(h, l, schedule.Arrival{})
	}
	idle(t, s, 1)
	s.Move(3, true, 0)
	s.Move(1, false, 0)
	s.Remove(2)
	if s.Move(2, true, 0) {
		t.Fatal("moved one that does not wait")
	}
	state := s.Lane(l, 1, 10)
	if !state.Paused || state.Total != 3 || len(state.Waiting) != 3 || state.Waiting[0].Handle != 3 ||
		state.Waiting[1].Handle != 4 || state.Waiting[2].Handle != 1 {
		t.Fatalf("state %+v", state)
	}
	s.Pause(l, false)
	for _, want := range []uint32{3, 4, 1} {
		s.Ended(next(t, s, 1, want), schedule.Healthy)
	}
	lanes := 0
	s.Lanes(func(uint32, int, int, bool) bool { lanes++; return true })
	if lanes != 0 {
		t.Fatalf("%d empty lanes are kept", lanes)
	}
}

func TestSkippingARetryLetsTheNextOneRun(t *testing.T) {
	s := newScheduler(schedule.Route{Name: "r", Policy: schedule.Serial})
	l := lane(1, "r")
	s.Add(1, l, schedule.Arrival{})
	s.Add(2, l, schedule.Arrival{})
	run := next(t, s, 1, 1)
	s.Retry(1, l, 100*second)
	s.Ended(run, schedule.Healthy)
	idle(t, s, 1)
	s.Move(1, false, 100*second)
	s.Ended(next(t, s, 1, 2), schedule.Healthy)
	idle(t, s, 1)
	s.Wake(100 * second)
	next(t, s, 100*second, 1)
}

func TestPolicyNames(t *testing.T) {
	for p := schedule.Parallel; p <= schedule.Supersede; p++ {
		if got, err := schedule.ParsePolicy(p.String()); err != nil || got != p {
			t.Errorf("%v: %v, %v", p, got, err)
		}
	}
	if p, err := schedule.ParsePolicy(""); err != nil || p != schedule.Parallel {
		t.Errorf("no policy: %v, %v", p, err)
	}
	if _, err := schedule.ParsePolicy("fifo"); err == nil {
		t.Error("took an unknown policy")
	}
}
