package actors_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/handler"
	"github.com/hooktroupe/hooktroupe/messages"
)

// series are the values of one metric's members, by the values of their labels in the order of the labels' names.
func (s *stage) series(name string) map[string]float64 {
	s.t.Helper()
	families, err := s.metrics.Gatherer().Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			if value := m.GetGauge().GetValue() + m.GetCounter().GetValue(); value != 0 {
				values[strings.Join(labels, " ")] = value
			}
		}
	}
	return values
}

// ages is longer than any test lets pass.
const ages = 10_000 * time.Hour

// awaitSeries lets seconds pass until a metric has exactly these members that are not zero.
func (s *stage) awaitSeries(name string, want map[string]float64) {
	s.t.Helper()
	var got map[string]float64
	defer func() {
		if s.t.Failed() {
			s.t.Logf("%s: %v", name, got)
		}
	}()
	s.eventually(fmt.Sprintf("%s is %v", name, want), func() bool {
		s.clock.Advance(time.Second)
		got = s.series(name)
		return maps.Equal(got, want)
	})
}

func TestUnfinishedTasksAndLanesAreCountedByRoute(t *testing.T) {
	const unfinished, lanes = "hooktroupe_tasks_unfinished", "hooktroupe_lanes"
	s, w := laneStage(t)
	s.bind("*", "*", "workshop", w.Handle)
	s.config.Workers = 2
	s.config.AttemptTimeout, s.config.BackoffBase, s.config.BackoffCap = ages, ages, ages
	s.raise()
	s.bring("s1", "serial", "k")
	s.bring("s2", "serial", "k")
	s.bring("s3", "serial", "k")
	s.awaitBegun(w, "s1")
	s.bring("p1", "parallel", "")
	s.awaitBegun(w, "s1", "p1")
	s.accept(s.delivery("plain"))
	split := s.delivery("split")
	split.Assignments = []*messages.Assignment{{Route: "serial", Key: "other"}, {Route: "parallel"}}
	both := s.accept(split).GetWebhookId()
	s.awaitSeries(unfinished, map[string]float64{
		"serial processing": 1, "serial queued": 3, "parallel processing": 1, "parallel queued": 1, "(none) queued": 1,
	})
	s.awaitSeries(lanes, map[string]float64{"serial 2-9": 1, "serial 1": 1, "parallel 1": 1, "(none) 1": 1})

	if _, refused, err := s.Cancel(context.Background(), both, "enough"); refused != nil || err != nil {
		t.Fatal(refused, err)
	}
	w.end("s1") <- errHandler
	s.awaitBegun(w, "s1", "p1", "plain")
	s.awaitSeries(unfinished, map[string]float64{
		"serial retrying": 1, "serial queued": 2, "parallel processing": 1, "(none) processing": 1,
	})
	s.awaitSeries(lanes, map[string]float64{"serial 2-9": 1, "parallel 0": 1, "(none) 0": 1})

	// A route goes, its tasks stay: they are counted, and not under a name that is not configured any more.
	if err := s.Reconfigure(s.config, s.routes[1:], s.mux); err != nil {
		t.Fatal(err)
	}
	s.awaitSeries(unfinished, map[string]float64{
		"serial retrying": 1, "serial queued": 2, "(removed) processing": 1, "(none) processing": 1,
	})
	s.awaitSeries(lanes, map[string]float64{"serial 2-9": 1, "(none) 0": 2})

	// So it is after a restart.
	s.crash()
	s.routes, s.config.Workers = s.routes[:1], 5
	s.raise()
	s.awaitSeries("hooktroupe_tasks", map[string]float64{"processing": 4, "retrying": 1, "cancelled": 1})
	s.awaitSeries(unfinished, map[string]float64{
		"(removed) retrying": 1, "(removed) processing": 2, "parallel processing": 1, "(none) processing": 1,
	})
}

func TestKeysMakeNoSeries(t *testing.T) {
	s, w := laneStage(t)
	s.config.Workers, s.config.AttemptTimeout = 1, ages
	s.raise()
	count := func() int {
		families, err := s.metrics.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			if strings.HasPrefix(f.GetName(), "hooktroupe_") {
				n += len(f.GetMetric())
			}
		}
		return n
	}
	accept := func(from, to int) {
		for i := from; i < to; i++ {
			s.bring(fmt.Sprint(i), "serial", fmt.Sprint("key ", i))
		}
		s.awaitSeries("hooktroupe_lanes", map[string]float64{"serial 0": 1, "serial 1": float64(to - 1)})
	}
	accept(0, 2)
	few := count()
	accept(2, 500)
	if many := count(); many != few {
		t.Errorf("%d series with 2 keys, %d with 500", few, many)
	}
	s.awaitBegun(w, "0")
}

func TestRestartsOfAttemptsAreCounted(t *testing.T) {
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) { panic("no") })
	s.config.MaxAttempts = 1
	s.raise()
	s.await(s.accept(s.delivery("a")).GetWebhookId(), failed)
	s.awaitSeries("hooktroupe_actor_restarts_total", map[string]float64{"attempt": 1})
}

func TestMailboxDepthsComeBackToZero(t *testing.T) {
	s := newStage(t, func(context.Context, *handler.Task) ([]byte, error) { return nil, nil })
	release := s.journal.holdBack
	s.raise()
	held := release()
	answered := make(chan struct{}, 4)
	for i := range 4 {
		go func() { // ends once the journal is let go
			defer func() { answered <- struct{}{} }()
			_, _, _ = s.Accept(context.Background(), s.delivery(fmt.Sprint(i)))
		}()
	}
	s.eventually("records wait for the persister", func() bool {
		return s.series("hooktroupe_actor_mailbox_depth")["persister"] > 0
	})
	held()
	for range 4 {
		<-answered
	}
	s.eventually("nothing waits", func() bool { return len(s.series("hooktroupe_actor_mailbox_depth")) == 0 })
}
