package history_test

import (
	"testing"
	"time"

	"github.com/hooktroupe/hooktroupe/http/history"
	"github.com/hooktroupe/hooktroupe/internal/clock"
	"github.com/hooktroupe/hooktroupe/metrics"
)

func TestSamplesAreRatesAndQuantilesSinceTheOneBefore(t *testing.T) {
	set, fake := metrics.New(), clock.NewFake(time.Unix(1700000000, 0))
	set.Tasks.Accepted.With("github").Add(1000) // before the first sample
	set.Ingress.AckSeconds.With("github").Observe(5)
	h := history.New(set, fake)
	defer h.Stop()
	if got := h.Samples(); len(got) != 0 {
		t.Fatalf("%d samples at once", len(got))
	}
	set.Tasks.Accepted.With("github").Add(20)
	set.Tasks.Accepted.With("gitlab").Add(30)
	set.Tasks.Finished.With("completed").Add(10)
	set.Tasks.Finished.With("failed").Add(5)
	set.Tasks.Tasks.With("queued").Set(7)
	set.Tasks.Tasks.With("retrying").Set(2)
	set.Tasks.Tasks.With("processing").Set(3)
	for range 100 {
		set.Ingress.AckSeconds.With("github").Observe(0.002)
	}
	fake.Advance(history.SampleInterval)
	got := h.Samples()
	if len(got) != 1 {
		t.Fatalf("%d samples", len(got))
	}
	s := got[0]
	if s.Accepted != 5 || s.Finished != 1.5 || s.Failed != 0.5 || s.Waiting != 9 || s.Running != 3 {
		t.Errorf("sample %+v", s)
	}
	if s.AckP50 == nil || s.AckP99 == nil || *s.AckP50 > 0.005 || *s.AckP99 > 0.005 || *s.AckP50 > *s.AckP99 {
		t.Errorf("acknowledged within %v and %v", s.AckP50, s.AckP99)
	}
	if s.AttemptP50 != nil {
		t.Errorf("attempts took %v though there were none", *s.AttemptP50)
	}
	fake.Advance(history.SampleInterval)
	if s := h.Samples()[1]; s.Accepted != 0 || s.AckP50 != nil {
		t.Errorf("the second sample: %+v", s)
	}
}

func TestAnHourIsKept(t *testing.T) {
	fake := clock.NewFake(time.Unix(1700000000, 0))
	h := history.New(metrics.New(), fake)
	for range history.Samples + 10 {
		fake.Advance(history.SampleInterval)
	}
	got := h.Samples()
	if len(got) != history.Samples {
		t.Fatalf("%d samples", len(got))
	}
	if age := fake.Now().Sub(got[0].At); age != (history.Samples-1)*history.SampleInterval {
		t.Errorf("the oldest is %v old", age)
	}
	h.Stop()
	fake.Advance(history.SampleInterval)
	if last := h.Samples()[history.Samples-1]; fake.Now().Equal(last.At) {
		t.Error("it samples after Stop")
	}
}
