package schedule_test

import (
	"slices"
	"testing"

	"github.com/hooktroupe/hooktroupe/schedule"
)

// gated is a route with one gate of its own name.
func gated(name string, p schedule.Policy, l schedule.Limits) schedule.Route {
	return schedule.Route{Name: name, Policy: p, Gates: []*schedule.Gate{schedule.NewGate(name, l)}}
}

func replace(s *schedule.Scheduler, now int64, routes ...schedule.Route) []uint32 {
	displaced := s.Replace(routes, schedule.Route{Name: "unknown"}, now)
	slices.Sort(displaced)
	return displaced
}

func TestReplaceKeepsWhatIsUsedOfARate(t *testing.T) {
	limits := schedule.Limits{Rate: 1, Burst: 2}
	s := newScheduler(gated("r", schedule.Parallel, limits))
	for h := range uint32(9) {
		s.Add(h, lane(1, "r"), schedule.Arrival{At: 1})
	}
	next(t, s, 1, 0)
	next(t, s, 1, 1)
	if displaced := replace(s, 1, gated("r", schedule.Parallel, limits)); displaced != nil {
		t.Errorf("displaced %d", displaced)
	}
	idle(t, s, 1)
	next(t, s, 1+second, 2)
	replace(s, 1+second, gated("r", schedule.Parallel, schedule.Limits{Rate: 10, Burst: 2}))
	idle(t, s, 1+second)
	next(t, s, 1+second+second/10, 3)
	replace(s, 1+second+second/10, gated("r", schedule.Parallel, schedule.Limits{}))
	for h := uint32(4); h < 9; h++ {
		next(t, s, 1+second+second/10, h)
	}
}

func TestReplaceCountsWhatRuns(t *testing.T) {
	s := newScheduler(gated("r", schedule.Parallel, schedule.Limits{}))
	for h := range uint32(5) {
		s.Add(h, lane(h, "r"), schedule.Arrival{At: 1})
	}
	first, second := next(t, s, 1, 0), next(t, s, 1, 1)
	replace(s, 1, gated("r", schedule.Parallel, schedule.Limits{Concurrency: 2}))
	idle(t, s, 1)
	s.Ended(first, schedule.Healthy)
	next(t, s, 1, 2)
	// A route that goes and comes back finds what still runs on its behalf. What waited goes on without it, and returns.
	for _, h := range replace(s, 1) {
		s.Add(h, lane(h, "r"), schedule.Arrival{At: 1})
	}
	for _, h := range replace(s, 1, gated("r", schedule.Parallel, schedule.Limits{Concurrency: 2})) {
		s.Add(h, lane(h, "r"), schedule.Arrival{At: 1})
	}
	idle(t, s, 1)
	s.Ended(second, schedule.Healthy)
	next(t, s, 1, 3)
	idle(t, s, 1)
}

func TestReplaceEmptiesTheLanesWhosePolicyChanges(t *testing.T) {
	s := newScheduler(gated("a", schedule.Parallel, schedule.Limits{}), gated("b", schedule.Serial, schedule.Limits{}))
	s.Add(0, lane(1, "a"), schedule.Arrival{At: 1})
	s.Add(1, lane(1, "a"), schedule.Arrival{At: 1})
	s.Add(2, lane(1, "a"), schedule.Arrival{At: 1, Due: second})
	s.Add(3, lane(2, "b"), schedule.Arrival{At: 1})
	run := next(t, s, 1, 0)
	displaced := replace(s, 1, gated("a", schedule.Serial, schedule.Limits{}), gated("b", schedule.Serial, schedule.Limits{}))
	if !slices.Equal(displaced, []uint32{1, 2}) {
		t.Fatalf("displaced %d", displaced)
	}
	s.Add(2, lane(1, "a"), schedule.Arrival{At: 1, Due: second})
	s.Add(1, lane(1, "a"), schedule.Arrival{At: 1})
	next(t, s, 1, 3)
	idle(t, s, 1)
	s.Ended(run, schedule.Healthy)
	idle(t, s, 1) // 2 stands in front, and is not due
	s.Wake(second)
	s.Ended(next(t, s, second, 2), schedule.Healthy)
	next(t, s, second, 1)
}

func TestReplaceKeepsPausedLanesPaused(t *testing.T) {
	s := newScheduler(gated("a", schedule.Serial, schedule.Limits{}))
	s.Pause(lane(1, "a"), true)
	s.Add(0, lane(1, "a"), schedule.Arrival{At: 1})
	for _, routes := range [][]schedule.Route{nil, {gated("a", schedule.Coalesce, schedule.Limits{})}} {
		for _, h := range replace(s, 1, routes...) {
			s.Add(h, lane(1, "a"), schedule.Arrival{At: 1})
		}
		idle(t, s, 1)
	}
	s.Pause(lane(1, "a"), false)
	next(t, s, 1, 0)
}
